import time

import pytest

from sre_platform.detection.scraping import Scraper, Target
from sre_platform.kernel.errors import Malformed
from sre_platform.kernel.sample import Sample
from tests.fakes.wire import Answer, serving


def test_targets_are_scraped_together_and_a_slow_one_does_not_hold_up_the_rest():
    with serving(Answer(200, b"g 1\n")) as good, serving(Answer(200, b"g 1\n" * 99, drip=0.05)) as slow:
        targets = [Target("slow", slow.url), Target("good", good.url), Target("gone", "http://127.0.0.1:1/metrics")]
        scraper = Scraper(targets, timeout_s=0.3)
        began = time.monotonic()
        first, second, third = scraper.scrape()
        assert time.monotonic() - began < 0.6
        scraper.close()
    assert (first.job, first.samples) == ("slow", None)
    assert "0.3 s" in first.error
    assert (second.instance, second.samples) == (good.address, (Sample("g", (), 1.0),))
    assert "refused" in third.error


def test_refuses_targets_that_could_not_be_told_apart():
    with pytest.raises(Malformed, match="same job"):
        Scraper([Target("a", "http://x/1"), Target("a", "http://x/2")])
    with pytest.raises(Malformed, match="not an http"):
        Target("a", "x:80")
    assert Target("a", "https://x/").instance == "x:443"
