"""The sandbox's accounts and definitions: Nordlicht, a retailer with two units.

The API user reaches both; without a MID it means Nordlicht DE.

Definitions that tests and the README may name are those of `BEHAVIOURS` (a key that
both accounts have behaves alike in both), and

- newsletter-subscribers-daily loads into a list, sms-opt-ins-daily has no destination,
  customers-to-audience-copy reads from `_CustomObject`,
- the name of kundinnen-grossstaedte holds HTML, umlauts and &, that of long-name has
  200 characters,
- "Legacy ERP orders" has no customer key, an ObjectID only,
- test-import-2019 and influencers-once never ran before.

Now and then one of the others failed or had errors in the past.
"""

from __future__ import annotations

from imports.sandbox.catalogue import (
    NEVER,
    NOTIFY,
    Account,
    ApiUser,
    Behaviour,
    Catalogue,
    Row,
    Schedule,
    new_definition,
)

DE = Account(
    name="Nordlicht DE",
    mid=510001,
    client_id="nordlicht-de",
    client_secret="sandbox-secret-de",  # noqa: S106 - public by design
)
SE = Account(
    name="Nordlicht SE",
    mid=510002,
    client_id="nordlicht-se",
    client_secret="sandbox-secret-se",  # noqa: S106 - as above
)
API_USER = ApiUser(
    username="nordlicht-api",
    password="sandbox-password",  # noqa: S106 - as above
    mids=(DE.mid, SE.mid),
)

DATE = "%%Year%%%%Month%%%%Day%%"
UPSERT, ADD, UPDATE = "AddAndUpdate", "AddAndDoNotUpdate", "UpdateButDoNotAdd"
OVERWRITE, MERGE, BY_COLUMN = "Overwrite", "Merge", "ColumnBased"
LONG_NAME = (
    "Customers of all former regional subsidiaries including franchise partners, "
    "outlet stores and the discontinued catalogue business, cleansed, deduplicated "
    "and enriched with household data"
).ljust(200, ".")

# by customer key; all others complete
BEHAVIOURS = {
    "customer-consents-daily": Behaviour.ENDS_WITH_ERRORS,
    "newsletter-preferences-daily": Behaviour.ENDS_WITH_ERRORS,
    "price-list-full": Behaviour.FAILS,
    "outlet-stock-nightly": Behaviour.REFUSED,
    "product-catalogue-full": Behaviour.SLOW,
    "birthday-club-weekly": Behaviour.LOADS_NOTHING,
    "store-events-weekly": Behaviour.LEAVES_ROWS_OPEN,
}


def daily(hour: int, minute: int) -> Schedule:
    return Schedule((hour,), minute)


def weekly(weekday: int, hour: int, minute: int) -> Schedule:
    """Once a week; Monday is 0."""
    return Schedule((hour,), minute, (weekday,))


def every_hours(step: int, minute: int) -> Schedule:
    """Every `step` hours from midnight UTC."""
    return Schedule(tuple(range(0, 24, step)), minute)


# fmt: off
DE_ROWS: tuple[Row, ...] = (
    ("customers-daily", f"customers_de_{DATE}.csv", OVERWRITE, "customers", 412_000,
     daily(3, 10), {NOTIFY: "crm@nordlicht.example"}),
    ("customer-consents-daily", f"consents_de_{DATE}.csv", UPSERT, "customer_consents",
     38_400, daily(3, 40), {NOTIFY: "privacy@nordlicht.example"}),
    ("price-list-full", f"prices_full_{DATE}.txt", OVERWRITE, "price_list", 96_000,
     weekly(0, 1, 15), {"AllowErrors": False, "FileType": "TAB"}),
    ("outlet-stock-nightly", f"outlet_stock_{DATE}.csv", OVERWRITE, "outlet_stock",
     7_700, NEVER, {}),
    ("product-catalogue-full", f"catalogue_full_{DATE}.csv", OVERWRITE,
     "product_catalogue", 398_500, weekly(6, 0, 30),
     {NOTIFY: "catalogue@nordlicht.example"}),
    ("product-catalogue-delta", f"catalogue_delta_{DATE}_%%Hour%%.csv", UPSERT,
     "product_catalogue", 1_240, every_hours(1, 5), {}),
    ("stores-weekly", "stores_de.csv", OVERWRITE, "stores", 214, weekly(1, 4, 0),
     {"MaxFileAge": 168}),
    ("sms-opt-ins-daily", f"sms_optins_{DATE}.csv", UPSERT, None, 5_150, daily(5, 20),
     {"Name": "SMS opt-ins daily"}),
    ("loyalty-points-daily", f"points_de_{DATE}.csv", UPDATE, "loyalty_points",
     265_300, daily(2, 25), {}),
    ("abandoned-baskets", f"baskets_de_{DATE}_%%Hour%%.csv", ADD, "abandoned_baskets",
     870, every_hours(8, 45), {}),
    ("vouchers-daily", f"vouchers_de_{DATE}.csv", ADD, "vouchers", 20_000, daily(6, 0),
     {"AllowErrors": False}),
    ("returns-daily", f"returns_de_{DATE}.csv", UPSERT, "returns", 4_320, daily(4, 35),
     {}),
    ("gift-cards-weekly", f"giftcards_{DATE}.csv", ADD, "gift_cards", 11_900,
     weekly(2, 5, 5), {}),
    ("newsletter-preferences-daily", f"nl_preferences_{DATE}.csv", UPSERT, 1942713,
     17_600, daily(4, 50), {}),
    ("newsletter-subscribers-daily", f"nl_subscribers_{DATE}.csv", UPSERT, 1942714,
     61_000, daily(4, 15), {}),
    ("unsubscribes-daily", f"unsubscribes_{DATE}.csv", UPDATE, 1942714, 930,
     daily(7, 10), {}),
    ("address-changes-daily", f"addresses_{DATE}.txt", BY_COLUMN, "customers", 2_800,
     daily(5, 45), {"FileType": "Other", "Delimiter": "|"}),
    ("birthday-club-weekly", f"birthdays_{DATE}.csv", UPSERT, "birthday_club", 0,
     weekly(4, 6, 30), {}),
    ("kundinnen-grossstaedte", f"großstädte_{DATE}.csv", UPSERT, "kunden_grossstaedte",
     54_200, weekly(3, 3, 0),
     {"Name": 'Kundinnen & Kunden <b>Großstädte</b> "Süd"',
      "DateFormattingLocale.LocaleCode": "de-DE",
      "Description": "Nur Städte > 100.000 Einwohner & Umland"}),
    ("long-name", f"former_subsidiaries_{DATE}.csv", MERGE, "former_subsidiaries",
     88_000, weekly(5, 2, 0), {"Name": LONG_NAME}),
    (None, f"erp_orders_{DATE}.csv", UPSERT, "erp_orders", 3_100, daily(1, 50),
     {"Name": "Legacy ERP orders"}),
    ("customers-to-audience-copy", "_CustomObject", OVERWRITE, "audience_copy",
     405_000, daily(8, 0), {}),
    ("orders-every-six-hours", f"orders_de_{DATE}.csv", UPSERT, "orders", 6_900,
     every_hours(6, 20), {}),
    ("wish-lists-daily", f"wishlists_{DATE}.csv", MERGE, "wish_lists", 15_700,
     daily(7, 40), {"FieldMappingType": "ManualMap"}),
    ("test-import-2019", "test.csv", UPSERT, "test_2019", 12, NEVER,
     {"Name": "Test import 2019 (do not use)", "FieldMappingType": "MapByOrdinal"}),
    ("store-events-weekly", f"events_de_{DATE}.txt", UPSERT, "store_events", 340,
     weekly(3, 9, 0), {"FileType": "TAB"}),
)

SE_ROWS: tuple[Row, ...] = (
    ("customers-daily", f"customers_se_{DATE}.csv", OVERWRITE, "customers", 138_000,
     daily(3, 20), {NOTIFY: "crm@nordlicht.example"}),
    ("customer-consents-daily", f"consents_se_{DATE}.csv", UPSERT, "customer_consents",
     12_800, daily(3, 50), {}),
    ("price-list-full", f"prices_se_{DATE}.csv", OVERWRITE, "price_list", 91_000,
     weekly(0, 1, 35), {}),
    ("product-catalogue-delta", f"catalogue_se_{DATE}.csv", UPSERT,
     "product_catalogue", 1_100, every_hours(6, 10), {}),
    ("stores-weekly", "stores_se.csv", OVERWRITE, "stores", 71, weekly(1, 4, 20), {}),
    ("loyalty-points-daily", f"points_se_{DATE}.csv", UPDATE, "loyalty_points", 97_400,
     daily(2, 45), {}),
    ("abandoned-baskets", f"baskets_se_{DATE}.csv", ADD, "abandoned_baskets", 310,
     every_hours(12, 45), {}),
    ("vouchers-daily", f"vouchers_se_{DATE}.csv", ADD, "vouchers", 8_000, daily(6, 10),
     {}),
    ("returns-daily", f"returns_se_{DATE}.csv", UPSERT, "returns", 1_450, daily(4, 25),
     {}),
    ("gift-cards-weekly", f"giftcards_se_{DATE}.csv", ADD, "gift_cards", 3_600,
     weekly(2, 5, 25), {}),
    ("newsletter-preferences-daily", f"nl_preferences_se_{DATE}.csv", UPSERT, 2000101,
     6_300, daily(4, 55), {}),
    ("newsletter-subscribers-daily", f"nl_subscribers_se_{DATE}.csv", UPSERT, 2000102,
     22_000, daily(4, 5), {}),
    ("kundklubb-nivaer", f"kundklubb_{DATE}.csv", UPSERT, "kundklubb", 31_500,
     daily(5, 35),
     {"Name": "Kundklubb: nivåer & poäng", "DateFormattingLocale.LocaleCode": "sv-SE"}),
    ("students-weekly", f"students_{DATE}.csv", ADD, "students", 2_200,
     weekly(4, 8, 20), {}),
    ("influencers-once", "influencers.csv", UPSERT, "influencers", 48, NEVER,
     {"Name": "Influencers (once)"}),
)
# fmt: on


def nordlicht() -> Catalogue:
    """Both accounts, the API user that reaches them, and 41 definitions."""
    rows = [(DE, row) for row in DE_ROWS] + [(SE, row) for row in SE_ROWS]
    definitions = tuple(
        new_definition(
            account.mid,
            number,
            row,
            behaviour=BEHAVIOURS.get(row[0] or "", Behaviour.COMPLETES),
            owner=account.name,
        )
        for number, (account, row) in enumerate(rows)
    )
    return Catalogue(accounts=(DE, SE), users=(API_USER,), definitions=definitions)
