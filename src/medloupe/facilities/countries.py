"""Tell where a country roughly lies, so that swapped or mirrored coordinates are noticed."""

from __future__ import annotations

from functools import cache

from medloupe.facilities.names import plain

# ISO 3166 codes, and whole degrees near the middle: good enough to tell (9, 8) from (-9, 8), not to draw a border.
_TABLE = """
AFG AF 34 66,ALB AL 41 20,DZA DZ 28 3,AGO AO -12 18,ARG AR -35 -65,ARM AM 40 45,AUS AU -25 134,AUT AT 48 14,
AZE AZ 40 48,BGD BD 24 90,BLR BY 54 28,BEL BE 51 4,BLZ BZ 17 -89,BEN BJ 10 2,BTN BT 27 90,BOL BO -17 -65,
BIH BA 44 18,BWA BW -22 24,BRA BR -11 -53,BRN BN 5 115,BGR BG 43 25,BFA BF 12 -2,BDI BI -3 30,KHM KH 13 105,
CMR CM 6 13,CAN CA 60 -100,CPV CV 16 -24,CAF CF 7 21,TCD TD 15 19,CHL CL -33 -71,CHN CN 35 104,COL CO 4 -73,
COM KM -12 44,COG CG -1 15,COD CD -3 23,CRI CR 10 -84,CIV CI 8 -6,HRV HR 45 16,CUB CU 22 -79,CYP CY 35 33,
CZE CZ 50 15,DNK DK 56 10,DJI DJ 12 43,DOM DO 19 -70,ECU EC -1 -78,EGY EG 27 30,SLV SV 14 -89,GNQ GQ 2 10,
ERI ER 15 39,EST EE 59 26,SWZ SZ -27 31,ETH ET 9 40,FJI FJ -18 178,FIN FI 64 26,FRA FR 47 2,GAB GA -1 12,
GMB GM 13 -16,GEO GE 42 43,DEU DE 51 10,GHA GH 8 -1,GRC GR 39 22,GTM GT 16 -90,GIN GN 10 -11,GNB GW 12 -15,
GUY GY 5 -59,HTI HT 19 -73,HND HN 15 -87,HUN HU 47 20,ISL IS 65 -19,IND IN 22 79,IDN ID -2 118,IRN IR 32 54,
IRQ IQ 33 44,IRL IE 53 -8,ISR IL 31 35,ITA IT 42 13,JAM JM 18 -77,JPN JP 36 138,JOR JO 31 36,KAZ KZ 48 67,
KEN KE 0 38,KWT KW 29 48,KGZ KG 41 75,LAO LA 18 104,LVA LV 57 25,LBN LB 34 36,LSO LS -30 28,LBR LR 6 -9,
LBY LY 27 17,LTU LT 55 24,MDG MG -19 47,MWI MW -13 34,MYS MY 4 109,MLI ML 17 -4,MRT MR 20 -10,MUS MU -20 58,
MEX MX 24 -102,MDA MD 47 28,MNG MN 47 104,MAR MA 32 -6,MOZ MZ -17 36,MMR MM 21 96,NAM NA -22 17,NPL NP 28 84,
NLD NL 52 5,NZL NZ -41 172,NIC NI 13 -85,NER NE 17 9,NGA NG 9 8,PRK KP 40 127,MKD MK 42 22,NOR NO 62 10,
OMN OM 21 56,PAK PK 30 70,PAN PA 9 -80,PNG PG -6 145,PRY PY -23 -58,PER PE -9 -75,PHL PH 12 122,POL PL 52 19,
PRT PT 40 -8,QAT QA 25 51,ROU RO 46 25,RUS RU 58 70,RWA RW -2 30,STP ST 0 7,SAU SA 24 45,SEN SN 14 -14,
SRB RS 44 21,SYC SC -5 55,SLE SL 9 -12,SGP SG 1 104,SVK SK 49 20,SVN SI 46 15,SLB SB -9 160,SOM SO 6 46,
ZAF ZA -29 25,KOR KR 36 128,SSD SS 7 30,ESP ES 40 -4,LKA LK 8 81,SDN SD 15 30,SUR SR 4 -56,SWE SE 62 16,
CHE CH 47 8,SYR SY 35 38,TJK TJ 39 71,TZA TZ -6 35,THA TH 15 101,TLS TL -9 126,TGO TG 8 1,TTO TT 10 -61,
TUN TN 34 9,TUR TR 39 35,TKM TM 39 59,UGA UG 1 32,UKR UA 49 31,ARE AE 24 54,GBR GB 54 -2,USA US 39 -98,
URY UY -33 -56,UZB UZ 41 64,VUT VU -16 167,VEN VE 7 -66,VNM VN 16 107,YEM YE 15 48,ZMB ZM -14 28,
ZWE ZW -19 30,PSE PS 32 35,ESH EH 24 -14
"""
# south, north, west, east, with some room: of countries that lie near where they would if turned round
_BOXES = {
    "NG": (4, 14.2, 2.4, 15),
    "TD": (7.2, 23.8, 13.2, 24.4),
    "EG": (21.7, 32, 24.4, 37.2),
    "BI": (-4.8, -2, 28.6, 31.2),
    "RW": (-3.2, -0.8, 28.5, 31.3),
    "CG": (-5.4, 4, 10.8, 19),
    "CD": (-13.8, 5.7, 11.9, 31.6),
    "GQ": (-1.7, 4.1, 5.3, 11.7),
    "GA": (-4.3, 2.6, 8.4, 14.8),
    "KE": (-5, 5.7, 33.6, 42.2),
    "UG": (-1.8, 4.5, 29.3, 35.3),
    "BJ": (5.9, 12.7, 0.5, 4.1),
    "BF": (9.1, 15.4, -5.8, 2.7),
    "GH": (4.4, 11.4, -3.5, 1.5),
    "TG": (5.8, 11.4, -0.4, 2.1),
    "DZ": (18.6, 37.4, -9, 12.3),
}
_ACROSS = {"latitude": "KE CD CG GA UG SO EC CO BR ID", "longitude": "GH TG BF ML DZ FR GB ES"}
_ALSO = {"ivory coast": "CI", "cape verde": "CV", "swaziland": "SZ", "democratic republic of the congo": "CD"} | {
    "dr congo": "CD",
    "republic of congo": "CG",
    "congo": "CG",
    "tanzania": "TZ",
    "zanzibar": "TZ",
    "the gambia": "GM",
    "burma": "MM",
}


def find_box(text: str) -> tuple[float, float, float, float] | None:
    """Find the south, north, west and east of a country that is known so; None of others."""
    middle = find_country(text)
    return next(
        (box for code, box in _BOXES.items() if middle is not None and middle == _middles()[code.lower()]), None
    )


def on_both_sides(text: str, axis: str) -> bool:
    """Tell whether a country has much land on both sides of the equator (latitude) or of Greenwich (longitude)."""
    middle = find_country(text)
    return middle is not None and any(middle == _middles()[code.lower()] for code in _ACROSS[axis].split())


def find_country(text: str) -> tuple[float, float] | None:
    """Find where a country lies, by its ISO code or its name in English, French, Portuguese or Spanish; roughly."""
    known = _middles()
    key = plain(text)
    return known.get(key) or known.get(_names().get(key, ""))


@cache
def _middles() -> dict[str, tuple[float, float]]:
    found = {}
    for row in _TABLE.replace("\n", "").split(","):
        three, two, lat, lon = row.split()
        found[three.lower()] = found[two.lower()] = (float(lat), float(lon))
    return found


@cache
def _names() -> dict[str, str]:
    from babel import Locale

    found = {name: code.lower() for name, code in _ALSO.items()}
    for language in ("en", "fr", "pt", "es"):
        for code, name in Locale.parse(language).territories.items():
            if len(code) == 2:
                found.setdefault(plain(name), code.lower())
    return found
