"""``partynli finetune push``: a trained model on the Hugging Face Hub."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

import click

from partynli.cli.output import console, safe
from partynli.cli.output import table as new_table
from partynli.cli.publish import hub_client, print_sent
from partynli.finetune.card import CARD
from partynli.publish.hub.model import TrainedModel, model_card, read_model


@click.command("push")
@click.argument("folder", metavar="MODEL_DIR", type=click.Path(path_type=Path))
@click.option("--repo", "repo_id", required=True, metavar="USER/NAME", help="The model; made where it is not there.")
@click.option("--private", is_flag=True, help="Make a new model private.")
@click.option("--create-pr", is_flag=True, help="Open a pull request, and leave the model as it is.")
@click.option("--license", "licence", metavar="ID", help="Licence of the model, as the Hub names it: apache-2.0.")
@click.option("--dry-run", is_flag=True, help="Say what would be sent; ask nobody, send nothing.")
def push(folder: Path, repo_id: str, private: bool, create_pr: bool, licence: str | None, dry_run: bool) -> int:
    """Send a trained model to the Hugging Face Hub, with its card; MODEL_DIR is the folder of one seed.

    Weights, configuration, tokenizer, training.json and a card with the hashes of the data; nothing else that lies in
    the folder. All in one commit, and of what is there already nothing again. What was written by hand into the card at
    the Hub stays. The token is that of HF_TOKEN or `hf auth login`; --license is needed the first time.

    \b
    Examples:
      partynli finetune push finetuned/varierr-bert/seed-0 --repo ada/varierr-bert --license apache-2.0 --dry-run
      partynli finetune push finetuned/varierr-bert/seed-0 --repo ada/varierr-bert --license apache-2.0 --private
    """
    hub = hub_client()
    target = hub.RepoTarget(repo_id, private=private, create_pr=create_pr, kind="model")
    model = read_model(folder)
    head = None if dry_run else hub.look(target)
    text = model_card(model.outcome, licence, head and head.card)
    with TemporaryDirectory(prefix="partynli-") as scratch:
        card = Path(scratch) / CARD
        card.write_text(text, "utf-8", newline="\n")
        files = {CARD: card, **model.files}
        _print_files(files, model)
        if head is None:
            console.print("nothing was sent")
            return 0
        with console.status("sending"):
            done = hub.send(files, target, head, title=model.title)
    print_sent(done)
    console.print(f"commit {safe(done.commit)}", soft_wrap=True)
    return 0


def _print_files(files: dict[str, Path], model: TrainedModel) -> None:
    listed = new_table("file", "bytes")
    for name, path in files.items():
        listed.add_row(name, f"{path.stat().st_size:,}")
    console.print(listed)
    if model.left:
        console.print(f"stays here: {safe(', '.join(model.left))}", style="dim", soft_wrap=True)
