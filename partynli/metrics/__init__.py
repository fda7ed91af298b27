"""Metrics of label variation: arrays in, numbers out.

The last axis holds the labels in the order of `partynli.labels.LABELS`, the one before it the items; any axes before
those are carried along. Entropies and divergences are in nats. What is undefined is NaN, never 0.
"""

from __future__ import annotations

from partynli.metrics.agreement import (
    SET_DISTANCES,
    alpha_of_sums,
    coincidences,
    jaccard_distance,
    krippendorff_alpha,
    krippendorff_alpha_of_codes,
    masi_distance,
    ordinal_alpha,
    ordinal_alpha_of_sums,
    pairable_units,
    set_distances,
)
from partynli.metrics.alt_test import EPSILONS, MIN_ITEMS, AltTest, alt_test
from partynli.metrics.calibration import expected_calibration_error
from partynli.metrics.ceiling import draw_two_groups, draw_without_replacement, size_matched_ceiling
from partynli.metrics.classification import cohen_kappa, confusion_table, f1_by_label, recall_by_label, weighted_f1
from partynli.metrics.comparison import COMPARISONS, compare
from partynli.metrics.consistency import consistency, distinct_labels, share_consistent
from partynli.metrics.conventions import CONVENTIONS, Convention, convention
from partynli.metrics.correlation import (
    dense_ranks,
    distance_correlation,
    distance_correlation_test,
    kendall_permutation_test,
    kendall_tau,
    kendall_tau_of_ranks,
)
from partynli.metrics.decompose import JsSplit, cross_validated_recalibration, js_split, recalibrate
from partynli.metrics.discovery import benjamini_hochberg, benjamini_yekutieli
from partynli.metrics.distribution import (
    js_distance,
    js_divergence,
    kl_divergence,
    kl_element_mean,
    kl_laplace,
    label_counts,
    probabilities,
    total_variation,
    wasserstein,
)
from partynli.metrics.entropy import entropy, miller_madow_entropy, rarefied_entropy
from partynli.metrics.influence import effective_number, mean_correlation, pairwise_correlation
from partynli.metrics.missingness import Bounds, missingness_bounds
from partynli.metrics.modal import agreement, modal_label, same_mode
from partynli.metrics.null import null_constant, null_marginal, null_shuffled, null_uniform
from partynli.metrics.option_scores import BoundedDistribution, bounded_softmax, p_norm, p_softmax
from partynli.metrics.participants import (
    Jackknife,
    bootstrap_participants_items,
    jackknife_participants,
    leave_one_out_counts,
    leave_one_out_influence,
)
from partynli.metrics.posterior import ItemDifferences, draw_dirichlet, draw_votes, entropy_interval, item_differences
from partynli.metrics.resample import Interval, bootstrap, bootstrap_mean, percentile_interval
from partynli.metrics.scoring import (
    brier_score,
    dist_ce,
    ent_ce,
    entropy_correlation,
    log_score,
    rank_cs,
    soft_accuracy,
    soft_f1,
)
from partynli.metrics.summary import item_mean, item_sd, items_defined

__all__ = [
    "COMPARISONS",
    "CONVENTIONS",
    "EPSILONS",
    "MIN_ITEMS",
    "SET_DISTANCES",
    "AltTest",
    "BoundedDistribution",
    "Bounds",
    "Convention",
    "Interval",
    "ItemDifferences",
    "Jackknife",
    "JsSplit",
    "agreement",
    "alpha_of_sums",
    "alt_test",
    "benjamini_hochberg",
    "benjamini_yekutieli",
    "bootstrap",
    "bootstrap_mean",
    "bootstrap_participants_items",
    "bounded_softmax",
    "brier_score",
    "cohen_kappa",
    "coincidences",
    "compare",
    "confusion_table",
    "consistency",
    "convention",
    "cross_validated_recalibration",
    "dense_ranks",
    "dist_ce",
    "distance_correlation",
    "distance_correlation_test",
    "distinct_labels",
    "draw_dirichlet",
    "draw_two_groups",
    "draw_votes",
    "draw_without_replacement",
    "effective_number",
    "ent_ce",
    "entropy",
    "entropy_correlation",
    "entropy_interval",
    "expected_calibration_error",
    "f1_by_label",
    "item_differences",
    "item_mean",
    "item_sd",
    "items_defined",
    "jaccard_distance",
    "jackknife_participants",
    "js_distance",
    "js_divergence",
    "js_split",
    "kendall_permutation_test",
    "kendall_tau",
    "kendall_tau_of_ranks",
    "kl_divergence",
    "kl_element_mean",
    "kl_laplace",
    "krippendorff_alpha",
    "krippendorff_alpha_of_codes",
    "label_counts",
    "leave_one_out_counts",
    "leave_one_out_influence",
    "log_score",
    "masi_distance",
    "mean_correlation",
    "miller_madow_entropy",
    "missingness_bounds",
    "modal_label",
    "null_constant",
    "null_marginal",
    "null_shuffled",
    "null_uniform",
    "ordinal_alpha",
    "ordinal_alpha_of_sums",
    "p_norm",
    "p_softmax",
    "pairable_units",
    "pairwise_correlation",
    "percentile_interval",
    "probabilities",
    "rank_cs",
    "rarefied_entropy",
    "recalibrate",
    "recall_by_label",
    "same_mode",
    "set_distances",
    "share_consistent",
    "size_matched_ceiling",
    "soft_accuracy",
    "soft_f1",
    "total_variation",
    "wasserstein",
    "weighted_f1",
]
