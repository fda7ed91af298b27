"""The columns of an export's tables, with what they mean: a data set is read by people who never saw this program."""

from __future__ import annotations

from collections.abc import Sequence

from partynli.publish.tables.formats import Column, Type

COUNT = "count_"
"""Begins the name of the column that counts a label."""


def _columns(*given: tuple[str, Type, str]) -> tuple[Column, ...]:
    return tuple(Column(*one) for one in given)


JUDGMENTS = _columns(
    ("sent_id", "string", "The item; see `items`."),
    ("id", "string", "Participant, temperature, top-p and size, joined by underscores; what is not set is left out."),
    ("participant", "string", "Name of the model or person, without decoding parameters."),
    ("participant_type", "string", "model or human."),
    ("experiment", "string", "Mixes and experiments that the participant is in, by name, joined by ' | '."),
    ("trial", "int64", "How often the participant was asked about the item, this time included; from 1."),
    ("class_simple", "string", "The single label that the chosen labels collapse to; error where no answer was valid."),
    ("class_multi", "string", "The chosen labels, in alphabetical order, joined by hyphens; error likewise."),
    ("explanation", "string", "Why, in the participant's words."),
    ("num_params", "float64", "Size of the model in billions of parameters."),
    ("temperature", "float64", "As it was sent; empty where the provider's own was left."),
    ("top_p", "float64", "As it was sent; empty where the provider's own was left."),
    ("highlights", "string", "JSON list of [field, start, end, text]; no text where the item's may not be passed on."),
    ("status", "string", "valid, or error: missing data."),
    ("reason", "string", "refusal, truncated, empty, not_json, schema, unknown_label; of a failed call no_answer."),
    ("repair", "string", "What had to be mended to read the answer, joined by commas; empty for a clean one."),
    ("name", "string", "The participant's full name in the run; see `participants`."),
    ("participant_id", "string", "Hash of all that is declared of the participant; see `participants`."),
    ("trial_key", "string", "Name of the trial."),
    ("attempts", "int64", "How often it was asked until there was an outcome."),
    ("served_model", "string", "Name that the answer gives for the model."),
    ("fingerprint", "string", "What else the answer says of the system that gave it."),
    ("finish_reason", "string", "Why the answer ends, as the provider says it."),
    ("answered_at", "string", "When the answer came, UTC."),
    ("latency_s", "float64", "Seconds that the answered call took."),
    ("tokens_in", "int64", "Tokens of all attempts' prompts, as the provider counted them."),
    ("tokens_out", "int64", "Tokens of all attempts' answers, as the provider counted them."),
    ("cost", "float64", "US dollars for all attempts, at the declared price."),
    ("synthetic", "bool", "Whether a simulation answered, and no model."),
    ("reader", "string", "What read the answer, with its version; import for a table of others' answers."),
    (
        "kept",
        "string",
        "JSON of what a table of others' answers said besides; labels only, if the item's text is left out.",
    ),
)
RAW = _columns(
    ("trial_key", "string", "The trial; see `judgments`."),
    ("n", "int64", "Which attempt, from 1."),
    ("sent_id", "string", "The item; see `items`."),
    ("participant_id", "string", "The participant; see `participants`."),
    ("name", "string", "The participant's full name in the run."),
    ("trial", "int64", "Number of the trial, from 1."),
    ("status", "string", "valid; rejected: no judgment in it; drift: another model's than the first; failed: none."),
    ("reason", "string", "Why it is not valid; of a failed call the kind of failure."),
    ("prompt", "string", "The messages, as JSON."),
    ("request", "string", "What was sent besides messages and seed, as JSON."),
    ("seed", "int64", "Seed that was sent; empty where none was."),
    ("response", "string", "Body of the answer as it came; empty for a failed call."),
    ("served_model", "string", "Name that the answer gives for the model."),
    ("fingerprint", "string", "What else the answer says of the system that gave it."),
    ("finish_reason", "string", "Why the answer ends, as the provider says it."),
    ("tokens_in", "int64", "Tokens of the prompt, as the provider counted them."),
    ("tokens_out", "int64", "Tokens of the answer, as the provider counted them."),
    ("cost", "float64", "US dollars, at the declared price."),
    ("latency_s", "float64", "Seconds that the call took."),
    ("at", "float64", "When it ended, in seconds since 1970, UTC."),
)
TALLY = {
    "begun": "Trials that were begun.",
    "valid": "Trials with a valid answer.",
    "invalid": "Trials whose every answer was rejected.",
    "drift": "Trials that another model answered than the first ones.",
    "open": "Trials without an outcome.",
    "reasked": "Trials that took more than one answer.",
    "rejected": "Answers that held no judgment.",
    "failed": "Calls that got no answer.",
    "cost": "US dollars for all answers whose cost is known.",
    "unpriced": "Answers whose cost is not known.",
    "tokens_in": "Tokens of all prompts, as the provider counted them.",
    "tokens_out": "Tokens of all answers, as the provider counted them.",
}
PARTICIPANTS = _columns(
    ("participant_id", "string", "SHA-256 of `declared`."),
    ("name", "string", "Name in the run."),
    ("participant", "string", "The same without decoding parameters, as in `judgments`."),
    ("id", "string", "As in `judgments`."),
    ("participant_type", "string", "model or human."),
    ("experiment", "string", "Mixes and experiments that it is in, joined by ' | '."),
    ("route", "string", "How it was reached; simulated: no model; imported: a table of others' answers."),
    ("provider", "string", "Who served it."),
    ("family", "string", "Models of one make."),
    ("model", "string", "What was asked for."),
    ("revision", "string", "Which version of the weights, where one was asked for."),
    ("num_params", "float64", "Billions of parameters."),
    ("dtype", "string", "Type of the weights, where one was asked for."),
    ("quantization", "string", "How the weights were made smaller."),
    ("temperature", "float64", "As it was sent; empty where the provider's own was left."),
    ("top_p", "float64", "As it was sent; empty where the provider's own was left."),
    ("params", "string", "All parameters that were sent, as JSON."),
    ("declared", "string", "All that is declared and can change the answers, as canonical JSON."),
    ("price_input", "float64", "US dollars per million tokens of prompts."),
    ("price_output", "float64", "US dollars per million tokens of answers."),
    ("price_as_of", "string", "When that price was published."),
    ("max_output_tokens", "int64", "Most tokens that an answer was expected to take; not sent."),
    ("trials", "int64", "Trials that were planned for each item."),
    ("served_models", "string", "Names that its answers give for the model, joined by ' | '."),
    ("first_answer", "string", "UTC."),
    ("last_answer", "string", "UTC."),
    *((name, "float64" if name == "cost" else "int64", what) for name, what in TALLY.items()),
    ("reasons", "string", "JSON: attempts without a judgment, by reason."),
)
METRICS = _columns(
    ("scope", "string", "Which items."),
    ("group", "string", "Which raters."),
    ("kind", "string", "mix, experiment, participant, human, or null for a model that knows nothing."),
    ("figure", "string", "Name of the figure."),
    ("against", "string", "People it is compared with; empty for a figure of the group alone."),
    ("value", "float64", "Empty where it is not defined."),
    ("sd", "float64", "Standard deviation over items."),
    ("ci_low", "float64", "Lower end of the 95 % interval over items."),
    ("ci_high", "float64", "Upper end."),
    ("n", "int64", "Items that it rests on."),
    ("ceiling", "float64", "The same figure between people, at the group's size."),
    ("null", "float64", "What chance gives."),
    ("p", "float64", "p-value, where there is one."),
)


def item_columns(fields: Sequence[str]) -> tuple[Column, ...]:
    """Columns of ``items``."""
    return _columns(
        ("sent_id", "string", "The item."),
        *((name, "string", "As it was shown; empty where it may not be passed on.") for name in fields),
        ("content_hash", "string", "SHA-256 of the texts as canonical JSON."),
        ("dataset", "string", "Where the item comes from."),
    )


def distribution_columns(labels: Sequence[str]) -> tuple[Column, ...]:
    """Columns of ``distributions``."""
    return _columns(
        ("sent_id", "string", "The item."),
        ("group", "string", "Whose answers: a mix, an experiment, all participants (run), or one participant."),
        ("kind", "string", "mix, experiment or participant."),
        ("n_asked", "int64", "Answers that were asked for."),
        ("n_valid", "int64", "Answers that hold a label; the others are missing data."),
        *((f"{COUNT}{label}", "int64", f"Answers with the single label {label}.") for label in labels),
        *((f"p_{label}", "float64", f"Share of {label} in the valid answers; empty without any.") for label in labels),
    )


def human_columns(labels: Sequence[str]) -> tuple[Column, ...]:
    """Columns of the configuration ``human``."""
    return (
        Column("sent_id", "string", "The item."),
        Column("source", "string", "Which people: the dataset, or the population that it counts."),
        Column("worker", "string", "Who answered; empty in a row that counts a population."),
        Column("class_simple", "string", "The single label that the person's labels collapse to."),
        Column("class_multi", "string", "The person's labels, in alphabetical order, joined by hyphens."),
        Column("explanation", "string", "Why, in the person's words."),
        Column("highlights", "string", "JSON list of [field, start, end, text]."),
        *(Column(f"{COUNT}{label}", "int64", f"People who chose {label}.") for label in labels),
        Column(
            "content_hash",
            "string",
            "Hash of a person's answer, for where it may not be passed on; none of counts then, as it would tell them.",
        ),
    )
