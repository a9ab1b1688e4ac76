"""A command line that cannot be understood is told, by the word that is wrong or missing and what may stand there."""

import pytest

from studio.cli.parser import parser
from studio.domain import Refused


@pytest.mark.parametrize(
    ("words", "sentence", "field", "allowed"),
    [
        ("", "command is missing.", "command", "serve, quote, generate"),
        ("frobnicate", "There is no command 'frobnicate'.", "command", "serve, quote, generate"),
        ("credits", "verb is missing.", "verb", "show, history, verify"),
        ("jobs shaw 3", "There is no verb 'shaw'.", "verb", "list, show, cancel"),
        ("generate", "prompt is missing.", "prompt", "python -m studio generate"),
        ("credits grant tune", "amount is missing.", "amount", "python -m studio credits grant"),
        ("models add", "file is missing.", "file", "python -m studio models add [-h] [--json]"),
        ("generate x --nonsense 3", "There is no --nonsense here.", "nonsense", "--help"),
        ("generate x --seed", "Argument --seed: expected one argument.", "seed", "[--seed SEED]"),
    ],
)
def test_what_is_wrong_and_what_may_stand_there_is_told(words: str, sentence: str, field: str, allowed: str) -> None:
    with pytest.raises(Refused) as caught:
        parser().parse_args(words.split())
    assert (caught.value.message, caught.value.field) == (sentence, field)
    assert allowed in str(caught.value.allowed)
