"""``partynli publish``: a run as a dataset on the Hugging Face Hub."""

from __future__ import annotations

import re
from collections.abc import Collection
from importlib import import_module
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import click

from partynli.cli.export import write_export
from partynli.cli.options import find_run, registry_option, runs_option
from partynli.cli.output import console, safe, shown
from partynli.cli.output import table as new_table
from partynli.errors import InputError
from partynli.publish.card.card import card_text, completed
from partynli.publish.card.croissant import croissant_json
from partynli.publish.card.details import CardDetails
from partynli.publish.screening.screening import screen
from partynli.publish.tables.export import Export, ExportOptions
from partynli.report.markdown import SYNTHETIC
from partynli.store import Run


@click.command("publish")
@click.argument("run_name", metavar="[RUN]", required=False)
@click.option("--repo", "repo_id", required=True, metavar="USER/NAME", help="The dataset; made where it is not there.")
@click.option("--private", is_flag=True, help="Make a new dataset private.")
@click.option("--create-pr", is_flag=True, help="Open a pull request, and leave the dataset as it is.")
@click.option("--branch", default="main", show_default=True, metavar="NAME", help="Branch of the dataset.")
@click.option(
    "--dry-run", "dry_run", type=click.Path(path_type=Path), metavar="DIR", help="Write the folder; send nothing."
)
@click.option("--license", "licence", metavar="ID", help="Licence of the dataset, as the Hub names it: cc-by-4.0.")
@click.option("--license-name", "licence_name", metavar="NAME", help="What it is called, with --license other.")
@click.option("--license-link", "licence_link", metavar="URL", help="Where it can be read, with --license other.")
@click.option("--title", metavar="TEXT", help="What the dataset is called; otherwise after the run.")
@click.option(
    "--author", "authors", multiple=True, metavar="NAME", help="For the citation; several may be given, anew each time."
)
@click.option(
    "--language",
    "languages",
    multiple=True,
    metavar="CODE",
    help="Of the items, as ISO 639 code; several may be given.",
)
@click.option("--raw", is_flag=True, help="Every attempt, too: prompt, request and response.")
@click.option("--include-texts", is_flag=True, help="Put in items' texts and people's answers, known licence or not.")
@click.option("--split", default="train", show_default=True, metavar="NAME", help="Name of the split.")
@click.option("--allow-synthetic", "allow", flag_value="synthetic", multiple=True, help="Simulated participants.")
@click.option("--allow-secrets", "allow", flag_value="secret", multiple=True, help="What looks like a key.")
@click.option("--allow-emails", "allow", flag_value="email", multiple=True, help="What looks like a personal address.")
@registry_option
@runs_option
def command(
    run_name: str | None,
    repo_id: str,
    private: bool,
    create_pr: bool,
    branch: str,
    dry_run: Path | None,
    licence: str | None,
    licence_name: str | None,
    licence_link: str | None,
    title: str | None,
    authors: tuple[str, ...],
    languages: tuple[str, ...],
    raw: bool,
    include_texts: bool,
    split: str,
    allow: tuple[str, ...],
    registry_path: Path | None,
    runs_path: Path | None,
) -> int:
    """Send a run to the Hugging Face Hub as a dataset, with a card; RUN is the newest one by default.

    All in one commit, and of what is there already nothing again. What was written by hand into the card stays. Without
    a licence, with simulated participants, or with what looks like a key or a personal address in it, nothing is sent.
    The token is that of HF_TOKEN or `hf auth login`.

    \b
    Examples:
      partynli publish first --repo ada/first --license cc-by-4.0 --dry-run first     look at it first
      partynli publish first --repo ada/first --license cc-by-4.0
      partynli publish first --repo ada/first --create-pr --title "First steps" --author "Ada Lovelace"
    """
    if strange := [code for code in languages if not re.fullmatch("[a-z]{2,3}", code)]:
        raise InputError(f"--language {strange[0][:40]!r} is no ISO 639 code; write en, de or fil, for instance")
    hub = hub_client()
    target = hub.RepoTarget(repo_id, branch, private, create_pr)
    path = find_run(run_name, runs_path)
    details = CardDetails(target.repo_id, licence, licence_name, licence_link, languages, title, authors)
    if dry_run is not None:
        export = _exported(
            path, dry_run, ExportOptions("parquet", split, raw, include_texts, licence), details, registry_path
        )
        _print_files(export)
        _refuse(export, path, details, allow)
        console.print(f"nothing was sent: {safe(shown(dry_run))} holds what would be", soft_wrap=True)
        return 0
    head = hub.look(target)
    details = completed(details, head.card)
    with TemporaryDirectory(prefix="partynli-") as scratch:
        options = ExportOptions("parquet", split, raw, include_texts, details.licence)
        export = _exported(path, Path(scratch) / "export", options, details, registry_path)
        _refuse(export, path, details, allow)
        (export.path / "README.md").write_text(card_text(export, details, head.card), "utf-8", newline="\n")
        (export.path / "croissant.json").write_text(croissant_json(export, details), "utf-8", newline="\n")
        _print_files(export)
        with console.status("sending"):
            done = hub.publish(export.path, target, head)
    print_sent(done)
    console.print(f"read it back: partynli import hf:{target.repo_id}@{safe(done.commit)} --run NAME", soft_wrap=True)
    return 0


def hub_client() -> Any:
    """The module that sends to the Hub, or one line where its client is not installed."""
    try:
        return import_module("partynli.publish.hub.publishing")  # only here, so that its lack can be said
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] != "huggingface_hub":
            raise
        raise InputError("publishing needs huggingface_hub: pip install 'partynli[hub]'") from None


def _exported(
    path: Path, out: Path, options: ExportOptions, details: CardDetails, registry_path: Path | None
) -> Export:
    with console.status("writing"):
        return write_export(path, out, options, details, registry_path)


def _refuse(export: Export, path: Path, details: CardDetails, allow: Collection[str]) -> None:
    with Run.open(path) as run:
        keys = {one.api_key_env for one in run.participants().values() if one.api_key_env}
    with console.status("looking for secrets"):
        findings = screen(export, details, allow, key_names=keys)
    if not findings:
        return
    for finding in findings:
        console.print(f"[yellow]{safe(finding.text)}[/yellow] ({finding.option})", soft_wrap=True)
    options = ", ".join(dict.fromkeys(finding.option for finding in findings))
    n = len(findings)
    reasons = "that reason" if n == 1 else f"those {n:,} reasons"
    raise InputError(f"nothing was sent, for {reasons}; mend it, or say that it is meant so: {options}")


def _print_files(export: Export) -> None:
    listed = new_table("file", "rows", "bytes")
    for name, file in export.files.items():
        listed.add_row(safe(name), f"{file['rows']:,}", f"{file['bytes']:,}")
    names = [name for name in ("README.md", "croissant.json", "partynli.json") if (export.path / name).is_file()]
    for name in names:
        listed.add_row(name, "", f"{(export.path / name).stat().st_size:,}")
    console.print(listed)
    if export.synthetic:
        console.print(SYNTHETIC, style="bold")


def print_sent(done: Any) -> None:
    """Say what a commit took, and where it is."""
    if done.sent or done.deleted:
        gone = f", {len(done.deleted):,} of the last time taken away" if done.deleted else ""
        console.print(
            f"sent {len(done.sent):,} files, {done.n_bytes:,} bytes, in one commit; {done.n_unchanged:,} were there "
            f"already{gone}",
            soft_wrap=True,
        )
    else:
        console.print(f"nothing has changed: all {done.n_unchanged:,} files are there, and no commit was made")
    console.print(safe(done.url), soft_wrap=True)
