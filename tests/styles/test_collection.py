"""The styles that come with the studio: how many, for whom; each reads right and says nothing it should not."""

import re
from collections import Counter
from collections.abc import Callable
from itertools import combinations

import pytest

from studio.styles import Style, read_styles
from studio.styles.style import MOST_TOKENS, SUBJECT, tokens_of
from studio.tunes import CLASSES

STYLES = read_styles()
LITTLE = set(
    "a an and the in of on with at by from to into for as under over before beside behind above around among without "
    "through out between along against inside outside near one two its".split()
)

# What a style says of its subject begins with one of these, so that it goes on from "a man" and from "sks couple".
GO_ON = set(
    "in on at with as by from behind beneath under underwater among amid amidst between before beside inside outside "
    "atop aboard across along above near through half back fast motionless airborne barely "
    "seen lit wrapped surrounded framed drawn built bent cast caught dressed sculpted made shrunk".split()
)

GARMENTS = (
    "suit|jacket|shirt|t-shirt|coat|dress|gown|robe|cloak|cape|costume|uniform|sweater|cardigan|tunic|hat|helmet|crown|"
    "mask|scarf|apron|tie|crew-neck|blazer|collar|wig|backpack"
)
SINGULAR = re.compile(rf"\bas an?\b|\b(in|with|wearing|holding) an? ([\w-]+ ){{0,4}}({GARMENTS})\b|\balone\b|\bsolo\b")
PLURAL = re.compile(
    rf"\b({GARMENTS.replace('robe|', '').replace('|', 's|')}s|dresses|scarves|bodies|they|both|together|each other)\b"
)
OF_PEOPLE = re.compile(
    r"\b(wearing|dressed|clothes|clothing|dress|gown|suit|hair|face|cheeks?|eyes?|skin|smile|smiling|gaze|stare|"
    r"hands?(?!-)|headshot|head|shoulders|expression|laughing|laughter|make-up|lipstick|costume|robes?|uniform|hat)\b"
)
HUMAN = re.compile(r"\b(hands?(?!-)|fingers?|lipstick|make-up|headshot|business|beard|cheekbones|shoulders)\b")
GROWN_UP = re.compile(
    r"\b(blood\w*|skull|casino|vampire|sinister|cocktails?|wine|beer|cigar\w*|smoking|sensual|seductive|sultry|lipstick|"
    r"smou?ldering|tattoos?|night ?club|kiss\w*)\b"
)
NEVER = re.compile(
    r"\b(nude|naked|nsfw|sexy|erotic|sensual|seductive|lingerie|bikini|cleavage|busty|gore|corpse|torture|nazi|swastika|"
    r"gun|rifle|pistol|drugs?|cigarette|gypsy|savage|primitive|exotic|oriental|tribal|eskimo|geisha|harem|hobo|thug|"
    r"ghetto|ugly|fat|retarded|crazy|slave|servant)\b"
)
BRANDS_AND_NAMES = re.compile(
    r"\b(polaroid|kodak|kodachrome|technicolor|imax|leica|hasselblad|canon|nikon|fuji\w*|gopro|lego|barbie|playmobil|"
    r"disney|pixar|ghibli|dreamworks|marvel|dc comics|netflix|hbo|nintendo|pokemon|minecraft|playstation|unreal engine|"
    r"octane|artstation|deviantart|instagram|vogue|nike|adidas|gucci|chanel|prada|coca|pepsi|ferrari|porsche|vespa|jeep|"
    r"star wars|star trek|harry potter|batman|superman|spider-man|rutkowski|artgerm|wlop|mucha|warhol|banksy|"
    r"wes anderson|tarantino|miyazaki|burton|leibovitz|vhs|photoshop|plasticine|ikea|photomaton|bakelite)\b"
)


def faults(found: Callable[[Style], object]) -> dict[str, object]:
    """What was found in each style that has it."""
    return {style.id: fault for style in STYLES.values() if (fault := found(style))}


def matches(pattern: re.Pattern[str], words: str) -> str:
    match = pattern.search(words)
    return match.group() if match else ""


def words_of(style: Style) -> frozenset[str]:
    return frozenset(re.findall(r"[a-z0-9'-]+", style.prompt.replace(SUBJECT, "").lower())) - LITTLE


def test_there_are_at_least_260_styles_in_18_categories_with_8_or_more_in_each() -> None:
    assert len(STYLES) >= 260
    assert len(STYLES.categories) >= 18
    assert min(Counter(style.category.id for style in STYLES.values()).values()) >= 8


@pytest.mark.parametrize("name", CLASSES)
def test_every_class_has_plenty_of_styles(name: str) -> None:
    assert len(STYLES.find(class_name=name)) >= 60


def test_titles_are_unique_in_both_languages_and_german_is_not_left_out() -> None:
    for language in ("en", "de"):
        titles = Counter(style.titled(language).casefold() for style in STYLES.values())
        assert [title for title, times in titles.items() if times > 1] == []
        shelves = Counter(category.titled(language) for category in STYLES.categories)
        assert [title for title, times in shelves.items() if times > 1] == []
    same = [style.id for style in STYLES.values() if style.german == style.title]
    assert len(same) < len(STYLES) / 5, "names like Gouache and Origami are the same in both"


def test_the_six_art_styles_of_the_starter_are_asked_for_in_the_words_it_learnt() -> None:
    for name in ("flat cartoon", "storybook", "toon", "comic", "minimal vector", "pixel art"):
        prompt, negative = STYLES[name.replace(" ", "-")].apply("sks person", "")
        assert (prompt, negative) == (f"portrait of sks person, {name} style", "")


def test_a_prompt_is_long_enough_to_say_something_and_short_enough_to_be_read() -> None:
    def fault(style: Style) -> object:
        words = len(style.prompt.replace(SUBJECT, "").split())
        tokens = tokens_of(style.prompt.replace(SUBJECT, "")), tokens_of(style.negative)
        too_few = words < 15 and style.category.id != "drawn"
        return (words, tokens) if too_few or words > 40 or max(tokens) > MOST_TOKENS else None

    assert faults(fault) == {}


def test_the_subject_comes_first_and_the_sentence_goes_on_from_it() -> None:
    def fault(style: Style) -> str:
        before, after = style.prompt.split(SUBJECT)
        word = after.split()[0].strip(",")
        goes_on = after.startswith(", ") or word in GO_ON or word.endswith(("ing", "ed"))
        return "" if before in ("", "portrait of ") and goes_on else f"{before}... {word}"

    assert faults(fault) == {}


WRONG = (
    re.compile(r"\b(an?|the) (an?|the|sks)\b", re.IGNORECASE),
    re.compile(r"\b(\w+) \1\b", re.IGNORECASE),
    re.compile(r"  |,,| ,|,$|\.$|[{}]"),
    re.compile(r"\ba (?!one|uni|use|euro)[aeiou]\w*", re.IGNORECASE),
    re.compile(r"\ban (?!hour|honest|heir)[^aeiou]\w*", re.IGNORECASE),
)


def test_it_reads_right_for_every_class_it_fits() -> None:
    def fault(style: Style) -> list[str]:
        named = [f"sks {one}" for one in style.fits]
        asked = [f"{'an' if one == 'object' else 'a'} {one}" for one in style.fits]
        prompts = [style.apply(subject, "")[0] for subject in (*named, *asked)]
        assert all(subject in prompt for subject, prompt in zip((*named, *asked), prompts, strict=True))
        return [found for prompt in prompts for pattern in WRONG if (found := matches(pattern, prompt))]

    assert faults(fault) == {}
    assert all(style.fits for style in STYLES.values())


def test_it_names_nobody_by_a_pronoun_or_a_sex() -> None:
    pronouns = re.compile(r"\b(he|she|his|her|hers|him|they|their|them|himself|herself)\b")
    sexes = re.compile(r"\b(man|men|woman|women|boy|girl|lady|gentleman|king|queen|bride|groom)\b")
    assert faults(lambda style: matches(pronouns, style.prompt.lower())) == {}
    assert faults(lambda style: {"man", "woman"} <= set(style.fits) and matches(sexes, style.prompt.lower())) == {}


def test_what_fits_one_and_two_says_neither_one_nor_two() -> None:
    assert faults(lambda style: "couple" in style.fits and matches(SINGULAR, style.prompt)) == {}
    assert faults(lambda style: {"person", "man", "woman"} & set(style.fits) and matches(PLURAL, style.prompt)) == {}


def test_objects_have_no_faces_pets_no_hands_and_children_no_vices() -> None:
    assert faults(lambda style: "object" in style.fits and matches(OF_PEOPLE, style.prompt)) == {}
    assert faults(lambda style: {"dog", "cat"} & set(style.fits) and matches(HUMAN, style.prompt)) == {}
    assert faults(lambda style: {"boy", "girl"} & set(style.fits) and matches(GROWN_UP, style.prompt)) == {}


def test_no_style_names_an_artist_or_a_brand_or_anything_indecent() -> None:
    def said(style: Style) -> str:
        return f"{style.title}. {style.german}. {style.prompt}. {style.negative}".lower()

    assert faults(lambda style: matches(NEVER, said(style)) or matches(BRANDS_AND_NAMES, said(style))) == {}
    assert faults(lambda style: matches(re.compile(r"\b(by|style of|inspired by) [A-Z]"), style.prompt)) == {}


def test_a_prompt_asks_for_nothing_by_denying_it() -> None:
    """Text encoders hardly know "no": what is not wanted belongs into the negative prompt."""
    denied = re.compile(r"\b(no|not|without|never)\b [\w-]+")
    assert faults(lambda style: matches(denied, style.prompt)) == {}


def test_the_negative_prompt_takes_back_nothing_of_the_prompt() -> None:
    def both(style: Style) -> list[str]:
        unwanted = [part.strip() for part in style.negative.split(",") if part.strip()]
        return [part for part in unwanted if re.search(rf"\b{re.escape(part)}\b", style.prompt.lower())]

    assert faults(both) == {}


def test_no_two_styles_say_nearly_the_same() -> None:
    words = {style.id: words_of(style) for style in STYLES.values() if style.category.id != "drawn"}
    alike = {
        (one, other): round(share, 2)
        for one, other in combinations(words, 2)
        if (share := len(words[one] & words[other]) / min(len(words[one]), len(words[other]))) > 0.4
    }
    assert alike == {}
