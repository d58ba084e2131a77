"""The errors of the platform. Foreign exceptions are translated into these once, at the adapter that meets them."""


class SreError(Exception):
    """Something went wrong and the message says what to do next.

    ``permanent`` tells a caller whether trying the same again could help.
    """

    permanent = True

    def __init__(self, message: str, *, advice: str = "") -> None:
        super().__init__(message)
        self.advice = advice

    def __str__(self) -> str:
        message = super().__str__()
        return f"{message} {self.advice}".strip() if self.advice else message


class Malformed(SreError):
    """What was given cannot be understood; giving it again will not help."""


class Unknown(SreError):
    """A name that is not registered here; the message lists the known ones."""


class Unavailable(SreError):
    """The other side could not be reached, did not answer in time, or answered with a 5xx or 429."""

    permanent = False


class Rejected(SreError):
    """The other side answered and said no (4xx, fault code)."""


class Untouched(Rejected):
    """The other side said no to a change, and has not made any part of it."""


class TooLarge(SreError):
    """The answer or the input is larger than the bound that was set for it."""


class Lost(SreError):
    """Somebody else has taken over this work: stop here, change nothing."""
