import pytest
import torch

from avsl_core.errors import ConfigError, EncodingError
from avsl_core.explain.node_maps import node_map
from avsl_core.explain.trace import strongest_nodes, trace_node
from avsl_core.models import BackboneConfig, EmbeddingConfig, EmbeddingModel

ALL = 16


def test_strongest_nodes_come_in_order_of_their_contribution(explanation):
    nodes = strongest_nodes(explanation, 2, 4)
    values = explanation.levels["level3"].contribution
    assert [n.contribution for n in nodes] == values.sort(descending=True).values[:4].tolist()
    assert [float(values[n.node]) for n in nodes] == [n.contribution for n in nodes]


def test_top_nodes_together_carry_the_whole_distance(model, explanation):
    through = [trace_node(explanation, model.normalized_linkages, 2, node).through for node in range(ALL)]
    assert sum(through) == pytest.approx(explanation.total, rel=1e-6)


def test_a_node_is_its_own_part_and_all_that_is_below(model, explanation):
    trace = trace_node(explanation, model.normalized_linkages, 2, 3, width=ALL)
    assert len(trace.below) == 5  # top_k
    assert trace.through == pytest.approx(trace.own + sum(child.through for child in trace.below), rel=1e-9)
    for child in trace.below:
        assert child.through == pytest.approx(child.own + sum(c.through for c in child.below), rel=1e-9)


def test_lowest_level_ends_the_trace(model, explanation):
    trace = trace_node(explanation, model.normalized_linkages, 2, 0, width=2)
    leaf = trace.below[0].below[0]
    assert (leaf.level, leaf.below, leaf.gate) == (0, (), 1.0)
    assert leaf.own == leaf.through


def test_links_are_those_of_the_linkage_and_the_strongest_come_first(model, explanation):
    trace = trace_node(explanation, model.normalized_linkages, 2, 7, width=4)
    W = model.normalized_linkages[1]
    assert [child.link for child in trace.below] == [float(W[child.node, 7]) for child in trace.below]
    carried = [child.through for child in trace.below]
    assert carried == sorted(carried, reverse=True)


def test_a_node_in_the_middle_counts_what_reaches_it(model, explanation):
    trace = trace_node(explanation, model.normalized_linkages, 1, 2)
    assert trace.own == pytest.approx(float(explanation.levels["level2"].contribution[2]), rel=1e-9)


@pytest.mark.parametrize(("level", "node"), [(3, 0), (-1, 0), (2, 16), (2, -1)])
def test_a_node_that_is_not_there_is_refused(model, explanation, level, node):
    with pytest.raises(ConfigError, match="no "):
        trace_node(explanation, model.normalized_linkages, level, node)


def test_linkages_that_do_not_fit_are_refused(model, explanation):
    with pytest.raises(ConfigError, match="2 linkages, not 1"):
        trace_node(explanation, model.normalized_linkages[:1], 2, 0)


def test_a_method_without_gates_has_nothing_to_trace():
    config = EmbeddingConfig(BackboneConfig("mobilenetv3_small_050", (1, 4)))
    model = EmbeddingModel(config).eval()
    with torch.inference_mode():
        encoding = model.encode(torch.randn(2, 3, 64, 64))
    with pytest.raises(ConfigError, match="no gates"):
        strongest_nodes(model.explain(encoding[0], encoding[1]), 0, 3)


def test_mean_of_a_node_map_is_the_node_before_normalisation(model, encodings):
    for level in range(model.levels):
        mean = node_map(model, encodings[0], level, 5).mean()
        expected = encodings[0].nodes[level][0, 5] * encodings[0].norms[level][0]
        torch.testing.assert_close(mean, expected, rtol=1e-4, atol=1e-4)


def test_a_node_map_needs_the_maps(model):
    with torch.inference_mode():
        encoding = model.encode(torch.randn(1, 3, 64, 64), keep_maps=False)
    with pytest.raises(EncodingError, match="keep_maps"):
        node_map(model, encoding, 0, 0)


def test_a_node_map_of_a_level_that_is_not_there_is_refused(model, encodings):
    with pytest.raises(ConfigError, match="no node 0 on level 3"):
        node_map(model, encodings[0], 3, 0)
