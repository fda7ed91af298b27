"""What has to be said of any such dataset, once for cards and Croissant; foreign text in it is as it came."""

from __future__ import annotations

from partynli.publish.card.described import PERSON, Described
from partynli.sampling.plan import MIN_ROUNDS, width_of

SYNTHETIC = "SYNTHETIC: answers come from simulated participants and say nothing about any model."


def collection(about: Described) -> str:
    """How the answers were had."""
    if "imported" in about.export.run:
        return "Answers that were collected elsewhere, imported from tables and checked."
    return (
        "Every participant was sent the same two messages for an item, each time in a conversation of its own, and "
        "nothing else but the parameters of the participants table. Answers are kept as they came; labels, "
        "explanations and highlights are read from them."
    )


def protocol(about: Described) -> list[str]:
    """How answers became judgments."""
    task = about.task
    several = "one or more of" if task["set_labels"] else "one of"
    why = ", and explain their choice" if about.has_explanations else ""
    order = ", which are in this order" if task.get("ordered") else ""
    lines = [f"Participants choose {several} {', '.join(task['labels'])}{order}{why}."]
    if task["set_labels"]:
        lines.append(f"class_multi is the set as chosen; class_simple is {task['collapse_to']} for any larger set.")
    if reasks := about.plan.get("reasks"):
        lines.append(f"An answer that cannot be read is asked for again, unchanged, up to {reasks} times.")
    if width := width_of(about.plan):
        lines.append(
            f"Items have different numbers of answers: one was asked about no more once it had {MIN_ROUNDS} trials or "
            f"more and the 95 % interval of the entropy of its labels was narrower than {width:g} nats. Figures are of "
            "the trials that all items have; judgments and distributions hold all of them."
        )
    lines.append("A trial without a readable answer has the label error, which is missing data and never a label.")
    return lines


def missing(about: Described) -> str:
    """What is missing and why."""
    return (
        "Trials without a readable answer stand in judgments with class_simple error, and the reason with them; "
        "distributions count what was asked beside what is valid. Nothing is filled in."
    )


def tools(about: Described) -> list[str]:
    """The models that answered, each once."""
    models = {
        f"{row['model']} ({row['provider']})" if row.get("provider") else str(row["model"])
        for row in about.export.participants
        if row.get("model") and row.get("provider") != PERSON
    }
    return sorted(models)


def limits(about: Described) -> list[str]:
    """What the data cannot say."""
    found = [SYNTHETIC] if about.export.synthetic else []
    found += [
        "Answers of models are not people's: that distributions look alike does not make models a sample of people.",
        "Providers change what they serve under a name. The served model is kept with each answer where it was told; "
        "asking the same participants again may give other answers.",
        "Trials of one participant are draws from one model at its settings, not annotators.",
        "A ceiling is what groups of people, as many as the row has votes, reach against each other. A row that "
        "reaches it cannot be told from people by that figure; what goes beyond it is chance, and no merit.",
    ]
    if not about.has_texts:
        found.append("The items' texts are not in it, only their ids and hashes; explanations may quote them.")
    found.append(
        "The licence is for what this dataset adds. Items' texts and people's answers stay under the terms of their "
        "sources, which stand at the top."
    )
    return found


def personal(about: Described) -> str:
    """What the data says about persons."""
    people = "People's answers stand under the pseudonyms of their source."
    nobody = "No person's answer is in it."
    searched = "partynli searches texts for e-mail addresses and keys before it publishes them, and for nothing else."
    return f"{people if about.has_people else nobody} {searched}"


def uses(about: Described) -> list[str]:
    """What it was made for, and what it should not be used for."""
    if about.export.synthetic:
        return ["Trying out software.", "Not for: any claim about models or people."]
    return [
        "Comparing variation in labels and explanations within, between and beyond models with that among people.",
        "Not for: replacing people's judgments, or ranking models by which label is right.",
    ]
