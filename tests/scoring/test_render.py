"""A pitch reads as a person would write it, whatever the account's numbers are."""

from typing import Any

import pytest

from services.scoring.domain.render import render_pitch
from tests.scoring.profiles import profile


@pytest.mark.parametrize(
    ("values", "template", "text"),
    [
        ({"fleet_size": 1}, "{account_name} runs {fleet_size}.", "Nordlicht AG runs 1 vehicle."),
        ({"fleet_size": 1}, "{account_name} runs {fleet_size} vehicles.", "Nordlicht AG runs 1 vehicle."),
        ({"fleet_size": 1}, "{account_name} runs {fleet_size} {vehicle_type}.", "Nordlicht AG runs 1 truck."),
        ({"employees": 1}, "{employees} people work there.", "1 person work there."),
        ({"employees": 1}, "Your {employees} staff.", "Your 1 employee."),
        ({"employees": 2}, "Your {employees} staff.", "Your 2 staff."),
        ({"fleet_size": 60}, "You run a {fleet_size} fleet.", "You run a 60-vehicle fleet."),
        ({"fleet_size": 60}, "You run a {fleet_size} {vehicle_type} fleet.", "You run a 60-truck fleet."),
        ({"fleet_size": 60}, "You run a {fleet_size}-vehicle fleet.", "You run a 60-vehicle fleet."),
        ({"fleet_size": 60}, "You run {fleet_size} vehicles.", "You run 60 vehicles."),
        (
            {"fleet_size": 60, "vehicle_type": "heavy_equipment"},
            "You run {fleet_size} {vehicle_type}.",
            "You run 60 heavy-equipment vehicles.",
        ),
        (
            {"fleet_size": 1, "vehicle_type": "mixed"},
            "You run {fleet_size} {vehicle_type}.",
            "You run 1 mixed vehicle.",
        ),
        ({"fleet_size": 2500}, "{fleet_size} {vehicle_type} need service.", "2,500 trucks need service."),
        ({"employees": 1200}, "A {employees} company.", "A 1,200-employee company."),
        ({"vehicle_type": "mixed"}, "Your {vehicle_type} fleet.", "Your mixed fleet."),
    ],
)
def test_counts_agree_with_their_nouns(values: dict[str, Any], template: str, text: str) -> None:
    assert render_pitch(template, profile(**values)) == text


@pytest.mark.parametrize(
    ("name", "start"), [("eBay", "eBay runs"), ("iFleet 2 GmbH", "iFleet 2 GmbH runs"), ("Falkor", "Falkor runs")]
)
def test_a_name_keeps_its_letters_where_a_sentence_begins(name: str, start: str) -> None:
    from dataclasses import replace

    account = replace(profile(), account_name=name)
    assert (
        render_pitch("{account_name} runs {fleet_size}. may we call?", account)
        == f"{start} 1,400 vehicles. May we call?"
    )
