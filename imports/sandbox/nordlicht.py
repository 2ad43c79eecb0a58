"""The sandbox's accounts and definitions: Nordlicht, a retailer with two units.

The API user reaches both; without a MID it means Nordlicht DE.

Definitions that tests and the README may name (a key that both accounts have
behaves alike in both):

| customer key | how it ends | accounts |
|---|---|---|
| customers-daily | completes (Overwrite, 412,000 and 138,000 rows) | DE, SE |
| customer-consents-daily | completes with errors | DE, SE |
| newsletter-preferences-daily | completes with errors (a list) | DE, SE |
| price-list-full | fails: Error, no counts | DE, SE |
| outlet-stock-nightly | is refused at the start (43060) | DE |
| product-catalogue-full | completes slowly: ten times the pace | DE |
| birthday-club-weekly | completes with zero rows | DE |
| store-events-weekly | completes without NumberErrors, 12 in 100 rows open | DE |
| newsletter-subscribers-daily | completes (a list) | DE, SE |
| sms-opt-ins-daily | completes (SMS, no destination) | DE |
| customers-to-audience-copy | completes (source `_CustomObject`) | DE |
| kundinnen-grossstaedte | completes; its name holds HTML, umlauts, & | DE |
| long-name | completes; its name has 200 characters | DE |
| (none) | "Legacy ERP orders": completes; has an ObjectID only | DE |
| test-import-2019, influencers-once | complete; never ran before | DE, SE |

All others complete; now and then one of them failed or had errors in the past.
"""

from __future__ import annotations

from typing import Any

from imports.sandbox.catalogue import (
    NEVER,
    Account,
    ApiUser,
    Behaviour,
    Catalogue,
    Definition,
    Destination,
    Schedule,
    daily,
    data_extension,
    every_hours,
    made_id,
    weekly,
)

DE = Account(
    name="Nordlicht DE",
    mid=510001,
    client_id="nordlicht-de",
    client_secret="sandbox-secret-de",  # noqa: S106  (a sandbox's, public by design)
)
SE = Account(
    name="Nordlicht SE",
    mid=510002,
    client_id="nordlicht-se",
    client_secret="sandbox-secret-se",  # noqa: S106
)
API_USER = ApiUser(
    username="nordlicht-api",
    password="sandbox-password",  # noqa: S106
    mids=(DE.mid, SE.mid),
)

DATE = "%%Year%%%%Month%%%%Day%%"
UPSERT, ADD, UPDATE = "AddAndUpdate", "AddAndDoNotUpdate", "UpdateButDoNotAdd"
OVERWRITE, MERGE, BY_COLUMN = "Overwrite", "Merge", "ColumnBased"
ERRORS, FAILS = Behaviour.ENDS_WITH_ERRORS, Behaviour.FAILS
LONG_NAME = (
    "Customers of all former regional subsidiaries including franchise partners, "
    "outlet stores and the discontinued catalogue business, cleansed, deduplicated "
    "and enriched with household data"
).ljust(200, ".")

Row = tuple[str | None, str, str, str, str, int, Schedule, dict[str, Any]]
"""key, name, file pattern, update type, destination, rows, schedule, the rest."""


def _list(list_id: int) -> dict[str, Any]:
    return {
        "destination": Destination(kind="List", list_id=list_id),
        "import_type": "Subscriber List",
    }


# fmt: off
DE_ROWS: tuple[Row, ...] = (
    ("customers-daily", "Customers daily", f"customers_de_{DATE}.csv", OVERWRITE,
     "customers", 412_000, daily(3, 10), {"notify": "crm@nordlicht.example"}),
    ("customer-consents-daily", "Customer consents daily", f"consents_de_{DATE}.csv",
     UPSERT, "customer_consents", 38_400, daily(3, 40),
     {"behaviour": ERRORS, "notify": "privacy@nordlicht.example"}),
    ("price-list-full", "Price list full", f"prices_full_{DATE}.txt", OVERWRITE,
     "price_list", 96_000, weekly(0, 1, 15),
     {"behaviour": FAILS, "allow_errors": False, "file_type": "TAB"}),
    ("outlet-stock-nightly", "Outlet stock nightly", f"outlet_stock_{DATE}.csv",
     OVERWRITE, "outlet_stock", 7_700, NEVER, {"behaviour": Behaviour.REFUSED}),
    ("product-catalogue-full", "Product catalogue full", f"catalogue_full_{DATE}.csv",
     OVERWRITE, "product_catalogue", 398_500, weekly(6, 0, 30),
     {"behaviour": Behaviour.SLOW, "notify": "catalogue@nordlicht.example"}),
    ("product-catalogue-delta", "Product catalogue delta",
     f"catalogue_delta_{DATE}_%%Hour%%.csv", UPSERT, "product_catalogue", 1_240,
     every_hours(1, 5), {}),
    ("stores-weekly", "Stores weekly", "stores_de.csv", OVERWRITE, "stores", 214,
     weekly(1, 4, 0), {"max_file_age_hours": 168}),
    ("sms-opt-ins-daily", "SMS opt-ins daily", f"sms_optins_{DATE}.csv", UPSERT,
     "", 5_150, daily(5, 20), {"destination": None, "import_type": "SMS"}),
    ("loyalty-points-daily", "Loyalty points daily", f"points_de_{DATE}.csv", UPDATE,
     "loyalty_points", 265_300, daily(2, 25), {}),
    ("abandoned-baskets", "Abandoned baskets", f"baskets_de_{DATE}_%%Hour%%.csv", ADD,
     "abandoned_baskets", 870, every_hours(8, 45), {}),
    ("vouchers-daily", "Vouchers daily", f"vouchers_de_{DATE}.csv", ADD, "vouchers",
     20_000, daily(6, 0), {"allow_errors": False}),
    ("returns-daily", "Returns daily", f"returns_de_{DATE}.csv", UPSERT, "returns",
     4_320, daily(4, 35), {}),
    ("gift-cards-weekly", "Gift cards weekly", f"giftcards_{DATE}.csv", ADD,
     "gift_cards", 11_900, weekly(2, 5, 5), {}),
    ("newsletter-preferences-daily", "Newsletter preferences daily",
     f"nl_preferences_{DATE}.csv", UPSERT, "", 17_600, daily(4, 50),
     {**_list(1942713), "behaviour": ERRORS}),
    ("newsletter-subscribers-daily", "Newsletter subscribers daily",
     f"nl_subscribers_{DATE}.csv", UPSERT, "", 61_000, daily(4, 15), _list(1942714)),
    ("unsubscribes-daily", "Unsubscribes daily", f"unsubscribes_{DATE}.csv", UPDATE,
     "", 930, daily(7, 10), _list(1942714)),
    ("address-changes-daily", "Address changes daily", f"addresses_{DATE}.txt",
     BY_COLUMN, "customers", 2_800, daily(5, 45),
     {"file_type": "Other", "delimiter": "|"}),
    ("birthday-club-weekly", "Birthday club weekly", f"birthdays_{DATE}.csv", UPSERT,
     "birthday_club", 0, weekly(4, 6, 30), {"behaviour": Behaviour.LOADS_NOTHING}),
    ("kundinnen-grossstaedte", 'Kundinnen & Kunden <b>Großstädte</b> "Süd"',
     f"großstädte_{DATE}.csv", UPSERT, "kunden_grossstaedte", 54_200, weekly(3, 3, 0),
     {"locale": "de-DE", "description": "Nur Städte > 100.000 Einwohner & Umland"}),
    ("long-name", LONG_NAME, f"former_subsidiaries_{DATE}.csv", MERGE,
     "former_subsidiaries", 88_000, weekly(5, 2, 0), {}),
    (None, "Legacy ERP orders", f"erp_orders_{DATE}.csv", UPSERT, "erp_orders",
     3_100, daily(1, 50), {}),
    ("customers-to-audience-copy", "Customers to audience copy", "_CustomObject",
     OVERWRITE, "audience_copy", 405_000, daily(8, 0), {}),
    ("orders-every-six-hours", "Orders every six hours", f"orders_de_{DATE}.csv",
     UPSERT, "orders", 6_900, every_hours(6, 20), {}),
    ("wish-lists-daily", "Wish lists daily", f"wishlists_{DATE}.csv", MERGE,
     "wish_lists", 15_700, daily(7, 40), {"field_mapping": "ManualMap"}),
    ("test-import-2019", "Test import 2019 (do not use)", "test.csv", UPSERT,
     "test_2019", 12, NEVER, {"field_mapping": "MapByOrdinal"}),
    ("store-events-weekly", "Store events weekly", f"events_de_{DATE}.txt", UPSERT,
     "store_events", 340, weekly(3, 9, 0),
     {"file_type": "TAB", "behaviour": Behaviour.LEAVES_ROWS_OPEN}),
)

SE_ROWS: tuple[Row, ...] = (
    ("customers-daily", "Customers daily", f"customers_se_{DATE}.csv", OVERWRITE,
     "customers", 138_000, daily(3, 20), {"notify": "crm@nordlicht.example"}),
    ("customer-consents-daily", "Customer consents daily", f"consents_se_{DATE}.csv",
     UPSERT, "customer_consents", 12_800, daily(3, 50), {"behaviour": ERRORS}),
    ("price-list-full", "Price list full", f"prices_se_{DATE}.csv", OVERWRITE,
     "price_list", 91_000, weekly(0, 1, 35), {"behaviour": FAILS}),
    ("product-catalogue-delta", "Product catalogue delta",
     f"catalogue_se_{DATE}.csv", UPSERT, "product_catalogue", 1_100,
     every_hours(6, 10), {}),
    ("stores-weekly", "Stores weekly", "stores_se.csv", OVERWRITE, "stores", 71,
     weekly(1, 4, 20), {}),
    ("loyalty-points-daily", "Loyalty points daily", f"points_se_{DATE}.csv", UPDATE,
     "loyalty_points", 97_400, daily(2, 45), {}),
    ("abandoned-baskets", "Abandoned baskets", f"baskets_se_{DATE}.csv", ADD,
     "abandoned_baskets", 310, every_hours(12, 45), {}),
    ("vouchers-daily", "Vouchers daily", f"vouchers_se_{DATE}.csv", ADD, "vouchers",
     8_000, daily(6, 10), {}),
    ("returns-daily", "Returns daily", f"returns_se_{DATE}.csv", UPSERT, "returns",
     1_450, daily(4, 25), {}),
    ("gift-cards-weekly", "Gift cards weekly", f"giftcards_se_{DATE}.csv", ADD,
     "gift_cards", 3_600, weekly(2, 5, 25), {}),
    ("newsletter-preferences-daily", "Newsletter preferences daily",
     f"nl_preferences_se_{DATE}.csv", UPSERT, "", 6_300, daily(4, 55),
     {**_list(2000101), "behaviour": ERRORS}),
    ("newsletter-subscribers-daily", "Newsletter subscribers daily",
     f"nl_subscribers_se_{DATE}.csv", UPSERT, "", 22_000, daily(4, 5),
     _list(2000102)),
    ("kundklubb-nivaer", "Kundklubb: nivåer & poäng", f"kundklubb_{DATE}.csv", UPSERT,
     "kundklubb", 31_500, daily(5, 35), {"locale": "sv-SE"}),
    ("students-weekly", "Students weekly", f"students_{DATE}.csv", ADD, "students",
     2_200, weekly(4, 8, 20), {}),
    ("influencers-once", "Influencers (once)", "influencers.csv", UPSERT,
     "influencers", 48, NEVER, {}),
)
# fmt: on


def nordlicht() -> Catalogue:
    """Both accounts, the API user that reaches them, and 41 definitions."""
    rows = [(DE, row) for row in DE_ROWS] + [(SE, row) for row in SE_ROWS]
    definitions = []
    for number, (account, row) in enumerate(rows):
        key, name, spec, update_type, target, count, schedule, rest = row
        facts: dict[str, Any] = {
            "destination": data_extension(account.mid, target),
            "description": f"{name} of {account.name}",
            **rest,
        }
        definition = Definition(
            mid=account.mid,
            number=number,
            object_id=made_id(account.mid, key or name),
            customer_key=key,
            name=name,
            file_spec=spec,
            update_type=update_type,
            rows=count,
            schedule=schedule,
            **facts,
        )
        definitions.append(definition)
    return Catalogue(
        accounts=(DE, SE), users=(API_USER,), definitions=tuple(definitions)
    )
