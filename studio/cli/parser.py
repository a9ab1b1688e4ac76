"""Every command with the words it takes. What carries it out is named, not imported."""

import argparse
import re
from collections.abc import Sequence
from typing import Any, NoReturn

from studio.domain import CREDIT_KINDS, OWNER, Refused
from studio.export_request import FORMATS
from studio.photo_report import CROP_MODES, NATURES
from studio.rules import MOST_COUNT, MOST_SEED, MOST_STEPS, SIDE_LEAST, SIDE_MOST, SIDE_STEP
from studio.tools import (
    BACKGROUND_MODELS,
    FACE_MODELS,
    UPSCALE_MODELS,
    BackgroundRequest,
    FaceRequest,
    UpscaleRequest,
)
from studio.tunes import CLASSES, LEAST_PHOTOS, MOST_PHOTOS, POLICIES

ABOUT = "Likeness: a studio for AI avatars on one's own machine."


class Parser(argparse.ArgumentParser):
    """Tells bad usage as the studio tells everything it refuses."""

    def __init__(self, **options: Any) -> None:
        super().__init__(allow_abbrev=False, **options)

    def error(self, message: str) -> NoReturn:
        if unknown := re.match(r"unrecognized arguments: (\S+)", message):
            raise Refused(f"There is no {unknown[1]} here.", field=unknown[1].lstrip("-"), allowed="what --help names")
        if wrong := re.match(r"argument (COMMAND|VERB): invalid choice: ('.*?') \(choose from (.*)\)$", message):
            word, given, choices = wrong.groups()
            raise Refused(f"There is no {word.lower()} {given}.", field=word.lower(), allowed=choices.replace("'", ""))
        if missing := re.match(r"the following arguments are required: ([^,]*)", message):
            raise self._missing(next(one for one in self._actions if missing[1] in (one.metavar, one.dest)))
        named = re.match(r"argument ([^:]+): ", message)
        raise Refused(
            f"{message[:1].upper()}{message[1:]}.",
            field=named[1].split("/")[-1].lstrip("-").lower() if named else None,
            allowed=self._usage(),
        )

    def _missing(self, what: argparse.Action) -> Refused:
        field = str(what.metavar if what.dest == argparse.SUPPRESS else what.dest).lower()
        return Refused(f"{field} is missing.", field=field, allowed=", ".join(what.choices or ()) or self._usage())

    def _usage(self) -> str:
        return " ".join(self.format_usage().split()).partition(": ")[2]


def whole_of(text: str) -> int | str:
    """A whole number; any other text as it is, for the request to refuse with its own sentence."""
    return int(text) if re.fullmatch(r"[+-]?[0-9]{1,30}", text) else text


def number_of(text: str) -> float | str:
    """A number, NaN and infinities included; any other text as it is, for the request to refuse."""
    try:
        return float(text) if text.isascii() and "_" not in text else text
    except ValueError:
        return text


def parser() -> Parser:
    """Every command with what it takes. `run` of the result is the `module:function` that carries it out."""
    top = Parser(prog="python -m studio", description=ABOUT)
    commands = top.add_subparsers(metavar="COMMAND", required=True, parser_class=Parser)
    common = Parser(add_help=False)
    common.add_argument("--json", action="store_true", help="print one JSON object")
    whose = Parser(add_help=False, parents=[common])
    whose.add_argument("--account", default=OWNER, help="act for this account instead of the owner")

    serve = commands.add_parser("serve", help="the page")
    serve.set_defaults(run="serve:serve")

    quote = commands.add_parser("quote", help="what something costs; nothing is spent", parents=[common])
    quote.set_defaults(run="quote:quote")
    _size_and_steps(quote)
    what = quote.add_mutually_exclusive_group()
    what.add_argument("--tool", help="upscale, face or background instead of a picture from text")
    what.add_argument("--avatars", type=whole_of, metavar="N", help="N pictures of a tune instead")
    quote.add_argument("--scale", type=whole_of, help="of the tool upscale: 2 or 4")
    quote.add_argument("--face-enhance", action="store_true", help="of avatars: make the faces on them clearer")

    _generate(commands.add_parser("generate", help="make pictures from a prompt", parents=[whose]))
    _upscale(commands.add_parser("upscale", help="make pictures two or four times larger", parents=[whose]))
    _face(commands.add_parser("face", help="make faces clearer", parents=[whose]))
    _background(commands.add_parser("background", help="cut pictures out of their background", parents=[whose]))

    styles = _verbs(commands.add_parser("styles", help="the predefined styles"))
    listed = styles.add_parser("list", help="styles by category, and what each fits", parents=[common])
    listed.add_argument("--category", metavar="ID", help="only those of this category")
    listed.add_argument(
        "--class", dest="class_name", metavar="CLASS", help="only those for man, couple, dog, object ..."
    )
    listed.add_argument("--search", default="", metavar="WORDS", help="only those with these words")
    listed.set_defaults(run="styles:list_styles")

    tune = _verbs(commands.add_parser("tune", help="tunes: photos of a person, pet or object that were learned"))
    _photo_check(tune.add_parser("check", help="what is wrong with photos; nothing is spent", parents=[whose]))
    _tune_train(tune.add_parser("train", help="learn a likeness from photos, then make its avatars", parents=[whose]))
    listed = tune.add_parser("list", parents=[whose])
    listed.add_argument("--limit", type=whole_of, default=50, help="at most so many, newest first (50)")
    listed.set_defaults(run="tunes:list_tunes")
    shown = tune.add_parser("show", parents=[whose])
    shown.add_argument("id", metavar="ID")
    shown.set_defaults(run="tunes:show")
    paused = tune.add_parser("pause", help="let a training wait; the next job gets the device", parents=[whose])
    paused.add_argument("id", metavar="ID")
    paused.set_defaults(run="tunes:pause")
    resumed = tune.add_parser("resume", help="go on with a paused training, then make its avatars", parents=[whose])
    resumed.add_argument("id", metavar="ID")
    _no_avatars(resumed)
    resumed.set_defaults(run="tunes:resume")
    _keeping(tune, _verbs(commands.add_parser("retention", help="what goes when")), whose, common)
    _tune_export(tune.add_parser("export", help="a tune as a file for other programs", parents=[whose]))
    _avatars(commands.add_parser("avatars", help="make pictures of a tune", parents=[whose]))

    _credits(_verbs(commands.add_parser("credits", help="balances and the account book")), whose, common)

    models = _verbs(commands.add_parser("models", help="the models on this machine"))
    models.add_parser("list", parents=[common]).set_defaults(run="models:list_models")
    fetch = models.add_parser("fetch", help="get models; without an ID the small default set", parents=[common])
    fetch.add_argument("ids", nargs="*", metavar="ID")
    fetch.set_defaults(run="models:fetch")
    _models_add(models.add_parser("add", help="take in a base model or a LoRA, one .safetensors file", parents=[whose]))

    jobs = _verbs(commands.add_parser("jobs", help="what runs, waits and has ended"))
    listed = jobs.add_parser("list", parents=[whose])
    listed.add_argument("--limit", type=whole_of, default=50, help="at most so many, newest first (50)")
    listed.set_defaults(run="jobs:list_jobs")
    for verb in (jobs.add_parser("show", parents=[whose]), jobs.add_parser("cancel", parents=[whose])):
        verb.add_argument("id", metavar="ID")
        verb.set_defaults(run=f"jobs:{verb.prog.split()[-1]}")

    backup = commands.add_parser("backup", help="one file with database and pictures, never photos", parents=[common])
    backup.add_argument("file", metavar="FILE")
    backup.add_argument("--database-only", action="store_true", help="leave the files out")
    backup.add_argument("--overwrite", action="store_true", help="also over a file that is there")
    backup.set_defaults(run="backup:backup")
    restore = commands.add_parser("restore", help="put a backup in the place of everything", parents=[common])
    restore.add_argument("file", metavar="FILE")
    restore.add_argument("--yes", action="store_true", help="do not ask")
    restore.set_defaults(run="backup:restore")

    doctor = commands.add_parser("doctor", help="checks this machine and the studio's data", parents=[common])
    doctor.set_defaults(run="doctor:doctor")
    return top


def _verbs(command: Parser) -> "argparse._SubParsersAction[Parser]":
    return command.add_subparsers(metavar="VERB", required=True, parser_class=Parser)


def _size_and_steps(command: Parser) -> None:
    command.add_argument(
        "--size",
        default="512x512",
        help=f"WIDTHxHEIGHT, each a multiple of {SIDE_STEP} from {SIDE_LEAST} to {SIDE_MOST} (512x512)",
    )
    command.add_argument("--steps", type=whole_of, default=30, help=f"1 to {MOST_STEPS} (30)")
    command.add_argument("--count", type=whole_of, default=1, help=f"how many pictures, 1 to {MOST_COUNT} (1)")
    command.add_argument("--super-resolution", action="store_true", help="double the sides of each picture")


def _generate(command: Parser) -> None:
    command.set_defaults(run="making:generate")
    command.add_argument("prompt", metavar="PROMPT")
    command.add_argument("--negative", default="", help="what should not be seen")
    command.add_argument("--style", help="one of: styles list")
    command.add_argument("--base", default="starter", help="one of: models list (starter)")
    _size_and_steps(command)
    command.add_argument("--guidance", type=number_of, help="0 to 30; else as the base likes it")
    command.add_argument("--scheduler", help="one the base takes; else its first")
    command.add_argument("--seed", type=whole_of, help=f"0 to {MOST_SEED}; else drawn")
    command.add_argument("--init", metavar="FILE", help="a picture to start from, cut about its middle to --size")
    command.add_argument("--strength", type=number_of, help="0.05 to 1: how much of init is drawn anew")
    command.add_argument("--mask", metavar="FILE", help="white where init is painted anew, black where it is kept")
    _out_and_id(command)


def _out_and_id(command: Parser) -> None:
    command.add_argument("--out", metavar="DIR", help="where the pictures go; else they stay in the studio alone")
    command.add_argument("--overwrite", action="store_true", help="also over files that are there")
    command.add_argument("--id", metavar="UUID", help="the job's id: the same id again is the same job")


def _tool(command: Parser, name: str, default: str, models: Sequence[str]) -> None:
    command.set_defaults(run=f"tools:{name}")
    command.add_argument("files", metavar="FILE", nargs="+", help="pictures, or folders of pictures")
    command.add_argument("--model", help=f"one of {', '.join(models)} ({default})")


def _upscale(command: Parser) -> None:
    _tool(command, "upscale", UpscaleRequest.model, UPSCALE_MODELS)
    command.add_argument("--scale", type=whole_of, default=UpscaleRequest.scale, help="2 or 4 times each way (4)")
    _out_and_id(command)


def _face(command: Parser) -> None:
    _tool(command, "face", FaceRequest.model, FACE_MODELS)
    command.add_argument("--strength", type=number_of, help=f"0.05 to 1 ({FaceRequest.strength})")
    _out_and_id(command)


def _background(command: Parser) -> None:
    _tool(command, "background", BackgroundRequest.model, BACKGROUND_MODELS)
    command.add_argument(
        "--on",
        default=BackgroundRequest.on,
        metavar="GROUND",
        help="transparent, blur, a colour as #rrggbb or by name, or a picture file (transparent)",
    )
    command.add_argument("--matting", action="store_true", help="finer edges of hair and fur; takes longer")
    command.add_argument("--mask", action="store_true", help="put what was cut out beside each picture, as a grey one")
    _out_and_id(command)


def _photo_check(command: Parser) -> None:
    command.set_defaults(run="photos:check")
    command.add_argument("folder", metavar="PHOTOS_DIR", help=f"a folder with {LEAST_PHOTOS} to {MOST_PHOTOS} photos")
    photo_choices(command)


def _tune_train(command: Parser) -> None:
    command.set_defaults(run="tunes:train")
    command.add_argument(
        "photos_dir", metavar="PHOTOS_DIR", help=f"a folder with {LEAST_PHOTOS} to {MOST_PHOTOS} photos"
    )
    command.add_argument("--name", required=True, help="how the tune is called")
    command.add_argument("--consent", action="store_true", help="that everybody on the photos has agreed to this")
    photo_choices(command)
    command.add_argument("--leave-out-bad", action="store_true", help="train on the good photos alone")
    command.add_argument("--base", help="what it is trained on; one of: models list (starter)")
    command.add_argument("--steps", type=whole_of, help="of the training; else as the base likes it")
    command.add_argument("--rank", type=whole_of, help="of the LoRA, 1 to 128; else as the base likes it")
    command.add_argument("--seed", type=whole_of, help=f"0 to {MOST_SEED}; else drawn")
    command.add_argument("--caption", help="what all photos share and is not the person: 'flat cartoon style'")
    command.add_argument(
        "--text-encoder", action=argparse.BooleanOptionalAction, help="it learns too; else as the base likes it"
    )
    command.add_argument("--no-prior", dest="prior", action="store_false", help="without the base's own pictures")
    command.add_argument("--no-mirrored", dest="mirrored", action="store_false", help="left and right differ")
    command.add_argument("--policy", help=f"what goes with the model: {', '.join(POLICIES)} ({POLICIES[0]})")
    command.add_argument("--styles", metavar="A,B,...", help="of the first avatars, at most eight; '' for none")
    _no_avatars(command)
    command.add_argument("--id", metavar="UUID", help="the job's id: the same id again is the same job")


def _no_avatars(command: Parser) -> None:
    command.add_argument("--no-avatars", action="store_true", help="do not wait for the first avatars")


def _tune_export(command: Parser) -> None:
    command.set_defaults(run="exports:export")
    command.add_argument("tune", metavar="ID", help="one of: tune list")
    command.add_argument("--format", required=True, metavar="|".join(FORMATS), help="see docs/exports.md")
    command.add_argument("--out", required=True, metavar="PATH", help="a file, or a folder that is there")
    command.add_argument("--overwrite", action="store_true", help="also over a file that is there")
    command.add_argument("--id", metavar="UUID", help="the job's id: the same id again is the same job")


def _models_add(command: Parser) -> None:
    command.set_defaults(run="models:add")
    command.add_argument("file", metavar="FILE")
    command.add_argument("--overwrite", action="store_true", help="of a base: in place of one of the same name")
    command.add_argument("--name", help="of a LoRA: how the tune is called; else as its file says")
    command.add_argument("--words", help="of a LoRA: by which words a prompt calls it; else as its file says")
    command.add_argument("--base", help="of a LoRA: what it is for; else the first base here that has all its parts")
    command.add_argument("--class", dest="class_name", default="object", metavar="CLASS", help=", ".join(CLASSES))
    command.add_argument("--id", metavar="UUID", help="of a LoRA: the same id again is the same tune")


def _avatars(command: Parser) -> None:
    command.set_defaults(run="making:avatars")
    command.add_argument("tune", metavar="TUNE_ID", help="one of: tune list")
    command.add_argument("--style", help="one of: styles list")
    command.add_argument("--prompt", help="what he does and where; {subject} stands for him")
    command.add_argument("--negative", help="what should not be seen")
    command.add_argument("--base", help="another that its weights fit; else the one it was trained on")
    command.add_argument("--size", help="WIDTHxHEIGHT; else as the base likes it")
    command.add_argument("--steps", type=whole_of, help=f"1 to {MOST_STEPS}; else as the base likes it")
    command.add_argument("--count", type=whole_of, default=8, help=f"1 to {MOST_COUNT} pictures (8)")
    command.add_argument("--super-resolution", action="store_true", help="doubles the sides of each picture")
    command.add_argument("--face-enhance", action="store_true", help="makes the faces on each picture clearer")
    command.add_argument("--guidance", type=number_of, help="0 to 30; else as the base likes it")
    command.add_argument("--scheduler", help="one the base takes; else its first")
    command.add_argument("--seed", type=whole_of, help=f"0 to {MOST_SEED}; else drawn")
    command.add_argument("--strength", type=number_of, default=1.0, help="0 to 2: how much of the tune (1)")
    _out_and_id(command)


def _keeping(
    tune: "argparse._SubParsersAction[Parser]",
    retention: "argparse._SubParsersAction[Parser]",
    whose: Parser,
    common: Parser,
) -> None:
    extend = tune.add_parser("extend", help="keep a model 30 days more", parents=[whose])
    extend.add_argument("id", metavar="ID")
    extend.set_defaults(run="retention:extend")
    delete = tune.add_parser("delete", help="delete a tune with everything of it", parents=[whose])
    delete.add_argument("id", metavar="ID")
    delete.add_argument("--model-only", action="store_true", help="its model and exports alone; its pictures stay")
    delete.add_argument("--yes", action="store_true", help="do not ask")
    delete.set_defaults(run="retention:delete")
    due = retention.add_parser("list", help="what goes when, and the receipts of what went", parents=[whose])
    due.set_defaults(run="retention:list_due")
    run = retention.add_parser("run", help="delete now what is due, of every account", parents=[common])
    run.add_argument("--now", metavar="ISO-TIME", help="as if it were then: 2026-12-24T18:00 (UTC)")
    run.set_defaults(run="retention:run")


def photo_choices(command: Parser) -> None:
    """What says how photos are to be looked at; the values are checked where they are used."""
    command.add_argument("--class", dest="class_name", default="person", metavar="CLASS", help=", ".join(CLASSES))
    command.add_argument("--photos", default="auto", metavar="|".join(NATURES), help="whether they are drawn (auto)")
    command.add_argument(
        "--crop", default="face", metavar="|".join(CROP_MODES), help="which part is learned: a square about it (face)"
    )


def _credits(verbs: "argparse._SubParsersAction[Parser]", whose: Parser, common: Parser) -> None:
    verbs.add_parser("show", parents=[whose]).set_defaults(run="credits:show")
    history = verbs.add_parser("history", parents=[whose])
    history.add_argument("--limit", type=whole_of, default=100, help="at most so many, newest first (100)")
    history.set_defaults(run="credits:history")
    verify = verbs.add_parser("verify", help="checks the whole account book", parents=[whose])
    verify.set_defaults(run="credits:verify")
    grant = verbs.add_parser("grant", help="give credits that do not expire", parents=[whose])
    grant.add_argument("kind", metavar="|".join(CREDIT_KINDS))
    grant.add_argument("amount", type=whole_of, metavar="N")
    grant.add_argument("--reason", default="granted by the owner", help="what the account book says")
    grant.add_argument("--id", metavar="UUID", help="the same id again is the same grant")
    grant.set_defaults(run="credits:grant")
    bought = verbs.add_parser("purchases", help="what was bought, with the ids that refund takes", parents=[whose])
    bought.add_argument("--limit", type=whole_of, default=100, help="at most so many, newest first (100)")
    bought.set_defaults(run="credits:purchases")
    subscribe = verbs.add_parser("subscribe", help="put the account on a plan", parents=[whose])
    subscribe.add_argument("plan", metavar="PLAN", help="basic, standard, business, one of your own; the owner: house")
    subscribe.add_argument(
        "--annual", action="store_true", help="paid for twelve months; refilled monthly all the same"
    )
    subscribe.set_defaults(run="credits:subscribe")
    cancel = verbs.add_parser("cancel", help="end the plan with its period", parents=[whose])
    cancel.set_defaults(run="credits:cancel")
    buy = verbs.add_parser("buy", help="record that a pack was bought", parents=[whose])
    buy.add_argument("pack", metavar="PACK", help="tune, avatars-104, or one of your own")
    buy.set_defaults(run="credits:buy")
    for verb in (subscribe, buy):
        verb.add_argument("--price", help="what was paid, like 24.50; else what the price list says")
        verb.add_argument("--id", metavar="UUID", help="the purchase's id: the same id again is the same purchase")
    refund = verbs.add_parser("refund", help="give a purchase back", parents=[common])
    refund.add_argument("purchase", metavar="PURCHASE", help="its id; credits purchases lists them")
    refund.add_argument("--reason", default="given back by the owner", help="what the account book says")
    refund.add_argument("--yes", action="store_true", help="do not ask")
    refund.set_defaults(run="credits:refund")
