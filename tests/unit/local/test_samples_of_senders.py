"""Samples: chosen by name, called at any address."""

from __future__ import annotations

import pytest

from desireline_local.sender_side.samples import CALLED, Sample, UnknownSampleError, load


def test_a_sample_is_chosen_by_name_and_an_unknown_one_says_which_there_are() -> None:
    samples = load("stripe")
    (one,) = samples.named("invoice_paid")

    assert one.name == "invoice_paid"
    assert samples.named(None) == samples.samples
    with pytest.raises(UnknownSampleError, match="invoice_paid"):
        samples.named("nothing")
    with pytest.raises(ValueError, match="Unknown sender 'nobody'"):
        load("nobody")


def test_a_sample_is_called_elsewhere_with_its_own_query() -> None:
    sample = Sample.model_validate(
        {"name": "a", "call_url": f"{CALLED}a?x=%2F", "body": "raw\r\n", "expects": {"accepted": 0}}
    )

    assert sample.at("https://there/webhooks/a").call_url == "https://there/webhooks/a?x=%2F"
    assert sample.content == b"raw\r\n"
