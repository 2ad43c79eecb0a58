"""mcdash behind a real proxy: on another port, another name, under a path."""
