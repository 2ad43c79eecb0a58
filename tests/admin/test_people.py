from __future__ import annotations

import pytest
from django.test import Client

from imports.admin import base
from imports.models import AccessLevel, AuditEntry, User
from tests.admin.conftest import Staff
from tests.admin.forms import filled_form
from tests.factories import AccountFactory, GroupFactory, UserFactory, grant

USERS = "/admin/imports/user/"


def page_of(person: User) -> str:
    return f"{USERS}{person.pk}/change/"


def test_how_a_person_reads_can_be_set(admin: Client) -> None:
    person = UserFactory.create()
    changes = {"time_zone": "Europe/Berlin", "theme": "dark", "shortcuts_on": None}
    form = filled_form(admin, page_of(person), changes)
    admin.post(page_of(person), form)
    person.refresh_from_db()
    read = (person.time_zone, person.theme, person.shortcuts_on)
    assert read == ("Europe/Berlin", "dark", False)


def test_a_time_zone_that_does_not_exist_is_refused(admin: Client) -> None:
    person = UserFactory.create()
    form = filled_form(admin, page_of(person), {"time_zone": "Mars/Olympus"})
    response = admin.post(page_of(person), form)
    assert "time_zone" in response.context["adminform"].form.errors


def test_what_was_changed_of_a_person_is_audited(admin: Client) -> None:
    person = UserFactory.create(username="marie")
    admin.post(page_of(person), filled_form(admin, page_of(person), {"is_staff": "on"}))
    entry = AuditEntry.objects.get()
    assert (entry.action, entry.object_label) == ("user_changed", "marie")
    assert entry.details == {"fields": ["Staff status"]}


def test_in_which_groups_a_person_is_now_is_audited(admin: Client) -> None:
    person, group = UserFactory.create(), GroupFactory.create(name="Starters")
    form = filled_form(admin, page_of(person), {"groups": [str(group.pk)]})
    admin.post(page_of(person), form)
    assert AuditEntry.objects.get().details == {
        "fields": ["Groups"],
        "groups": ["Starters"],
    }


def test_a_new_password_stays_where_it_cannot_be_audited(
    admin: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(**_: object) -> None:
        raise OSError("the disk is full")

    person, words = UserFactory.create(), "a-new-pass-phrase-1"
    monkeypatch.setattr(base, "record_audit", fail)
    form = {"password1": words, "password2": words, "usable_password": "true"}
    with pytest.raises(OSError, match="disk"):
        admin.post(f"{USERS}{person.pk}/password/", form)
    assert not User.objects.get(pk=person.pk).check_password(words)


def test_a_new_password_is_audited_but_not_kept(admin: Client) -> None:
    person = UserFactory.create()
    words = "a-new-pass-phrase-1"
    url = f"{USERS}{person.pk}/password/"
    response = admin.post(
        url, {"password1": words, "password2": words, "usable_password": "true"}
    )
    assert response.status_code == 302
    entry = AuditEntry.objects.get()
    assert entry.action == "user_changed"
    assert words not in str(entry.details)


def test_adding_and_deleting_people_is_audited_by_name(admin: Client) -> None:
    words = "a-new-pass-phrase-1"
    form = {
        "username": "marie",
        "password1": words,
        "password2": words,
        "usable_password": "true",
    }
    admin.post(f"{USERS}add/", form)
    person = User.objects.get(username="marie")
    admin.post(f"{USERS}{person.pk}/delete/", {"post": "yes"})
    kept = AuditEntry.objects.order_by("id").values_list("action", "object_label")
    assert list(kept) == [("user_added", "marie"), ("user_deleted", "marie")]


def test_staff_cannot_make_themselves_superuser(staff: Staff) -> None:
    client = staff("view_user", "change_user")
    me = User.objects.get(is_staff=True)
    form = filled_form(client, page_of(me), {"is_superuser": "on", "first_name": "Sly"})
    assert client.post(page_of(me), form).status_code == 302
    me.refresh_from_db()
    assert (me.first_name, me.is_superuser) == ("Sly", False)


def test_staff_can_neither_change_nor_delete_a_superuser(
    staff: Staff, root: User
) -> None:
    client = staff("view_user", "change_user", "delete_user")
    assert client.post(page_of(root), {"username": "x"}).status_code == 403
    password = f"{USERS}{root.pk}/password/"
    assert client.post(password, {"password1": "x"}).status_code == 403
    gone = client.post(f"{USERS}{root.pk}/delete/", {"post": "yes"})
    assert gone.status_code == 403


def test_staff_cannot_give_a_group_permissions(staff: Staff) -> None:
    client = staff("view_group", "change_group")
    group = GroupFactory.create()
    url = f"/admin/auth/group/{group.pk}/change/"
    form = filled_form(client, url, {"name": "Renamed", "permissions": ["1"]})
    client.post(url, form)
    group.refresh_from_db()
    assert (group.name, group.permissions.count()) == ("Renamed", 0)


def test_a_group_shows_its_members_and_accounts(admin: Client) -> None:
    account = AccountFactory.create(name="Nordlicht DE")
    group = grant(UserFactory.create(username="marie"), account, AccessLevel.START)
    page = admin.get(f"/admin/auth/group/{group.pk}/change/").content.decode()
    assert ">marie</a>" in page
    listed = admin.get("/admin/auth/group/").content.decode()
    assert "Nordlicht DE (can view and start)" in listed


def test_a_group_that_grants_access_stays(admin: Client) -> None:
    group = grant(UserFactory.create(), AccountFactory.create(), AccessLevel.VIEW)
    response = admin.post(f"/admin/auth/group/{group.pk}/delete/", {"post": "yes"})
    assert "would require deleting the following protected" in response.content.decode()
    group.refresh_from_db()


def test_staff_cannot_sign_a_superuser_out(staff: Staff, root: User) -> None:
    client, theirs = staff("view_user", "change_user"), Client()
    theirs.force_login(root)
    data = {"action": "sign_out_everywhere", "_selected_action": [root.pk]}
    page = client.post(USERS, data, follow=True).content.decode()
    assert "Only a superuser can do that: root." in page
    assert theirs.get("/admin/").status_code == 200


def test_who_may_only_look_at_people_cannot_sign_them_out(staff: Staff) -> None:
    person, theirs = UserFactory.create(), Client()
    theirs.force_login(person)
    data = {"action": "sign_out_everywhere", "_selected_action": [person.pk]}
    staff("view_user").post(USERS, data)
    assert theirs.get("/profile/").status_code == 200
