"""Removes what the exporter leaves behind: constants still computed, shapes still asked for, steps that do nothing."""

import onnx_ir
from onnx_ir.passes import Sequential, common
from onnxscript import optimizer, rewriter
from onnxscript.rewriter.rules import common as rules

FOLD_UP_TO = 2**28  # elements: computed weights (weight norm, equalized learning rates) are constants too

# onnxscript's default rules without its batch-norm fusion, which rounds to float32 at every step of the fold.
RULES = (
    rules.materialize_reshape_shape_rule,
    rules.add_0_rule,
    rules.sub_0_rule,
    rules.mul_by_1_rule,
    rules.div_by_1_rule,
    rules.dropout_inference_rule,
    rules.dropout_zero_rule,
    rules.no_op_cast_rule,
    rules.no_op_expand_rule,
    rules.no_op_transpose_rule,
    rules.transpose_transpose_rule,
    rules.reshape_reshape_rule,
    rules.unsqueeze_unsqueeze_rule,
    rules.max_max_rule,
    rules.min_min_rule,
    rules.max_min_rule,
    rules.min_max_rule,
    rules.successive_clip_rule,
    rules.normalize_pad_format_conv_rule,
    rules.fuse_pad_into_conv_rule,
)
ROUNDS = 3  # a rule may make room for another one; two rounds settle every network seen so far


def simplify(model: onnx_ir.Model) -> None:
    """Fold constants, drop no-ops and unused nodes, merge equal ones, in place. Comes first, on a traced graph."""
    common.InlinePass()(model)
    for _ in range(ROUNDS):
        optimizer.fold_constants(model, input_size_limit=FOLD_UP_TO, output_size_limit=FOLD_UP_TO)
        rewriter.rewrite(model, RULES)
    _TIDY(model)


_TIDY = Sequential(
    common.IdentityEliminationPass(),
    common.RemoveUnusedNodesPass(),
    common.RemoveUnusedOpsetsPass(),
    common.LiftConstantsToInitializersPass(lift_all_constants=True, size_limit=0),
    common.DeduplicateInitializersPass(),
    common.CommonSubexpressionEliminationPass(),
    common.RemoveUnusedNodesPass(),
    common.TopologicalSortPass(),
)
