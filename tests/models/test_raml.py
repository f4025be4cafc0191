"""RamlModel: who looks at what, the distance between two networks, and its account with a gap."""

import json

import pytest
import torch
import torch.nn.functional as F

from avsl_core import functional as AF
from avsl_core.errors import ConfigError, EncodingError
from avsl_core.models import BackboneConfig, RamlConfig, RamlModel, build_model, model_config

SPLITS = ["matched", "zero", "centred", "similarity"]
POOLINGS = ["gem", "gemmp", "mac", "spoc", "rmac"]


@pytest.fixture(scope="module")
def encoding(raml, pictures):
    return raml.encode(pictures)


def map_sum(component):
    return float(component.map_a.sum() + component.map_b.sum())


class TestConfig:
    def test_is_built_again_from_plain_values(self, new_raml):
        model = new_raml(student=(3,), pooling="gemmp", sides="student")
        options = json.loads(json.dumps(model_config(model)))
        again = build_model("raml", options)
        again.load_state_dict(model.state_dict())
        assert again.config == model.config

    @pytest.mark.parametrize(
        ("options", "message"),
        [
            ({"backbone": BackboneConfig(levels=(3, 4))}, "one level"),
            ({"student": BackboneConfig(levels=(3, 4))}, "one level"),
            ({"student_size": 0}, "student_size=0"),
            ({"nodes": 0}, "nodes=0"),
            ({"pooling": "max"}, "pooling must be gem"),
            ({"sides": "both"}, "sides must be asymmetric"),
        ],
    )
    def test_refuses_what_cannot_be(self, options, message):
        with pytest.raises(ConfigError, match=message):
            RamlConfig(**options)

    @pytest.mark.parametrize(("pooling", "length"), [("gem", 1), ("gemmp", 288), ("mac", None)])
    def test_exponents_are_learned_where_the_pooling_has_them(self, pooling, length):
        model = RamlModel(RamlConfig(BackboneConfig("mobilenetv3_small_050", (4,)), nodes=4, pooling=pooling))
        assert [len(p) for p in model.exponents] == ([] if length is None else [length] * 2)
        assert all(bool((p == 3.0).all()) and p.requires_grad for p in model.exponents)


class TestSides:
    def test_the_student_sees_the_picture_reduced(self, raml, pictures):
        reduced = F.interpolate(pictures, (32, 32), mode="bilinear", antialias=True)
        (student_map,) = raml.trunk_maps(pictures, "query")
        torch.testing.assert_close(student_map, raml.trunk(reduced)[0])
        (teacher_map,) = raml.trunk_maps(pictures, "gallery")
        torch.testing.assert_close(teacher_map, raml.trunk(pictures)[0])

    def test_a_student_of_its_own_looks_with_its_own_trunk(self, new_raml, pictures):
        model = new_raml(student=(3,))
        assert model.trunks == (model.trunk, model.student_trunk)
        reduced = F.interpolate(pictures, (32, 32), mode="bilinear", antialias=True)
        student_map, teacher_map = model.trunk_maps(pictures)
        torch.testing.assert_close(student_map, model.student_trunk(reduced)[0])
        torch.testing.assert_close(teacher_map, model.trunk(pictures)[0])
        assert student_map.shape[1] != teacher_map.shape[1]

    def test_one_trunk_at_one_size_looks_once(self, new_raml, pictures):
        model = new_raml(student_size=64)
        student_map, teacher_map = model.trunk_maps(pictures)
        assert student_map is teacher_map

    def test_vectors_are_pooled_normalised_projected_and_normalised(self, raml, pictures):
        maps = raml.trunk_maps(pictures)
        encoding = raml.encode_maps(maps)
        for side, vectors in enumerate((encoding.student, encoding.teacher)):
            pooled = F.normalize(AF.generalized_mean(maps[side], raml.exponents[side]), dim=1)
            expected = F.normalize(pooled @ raml.projections[side].T + raml.biases[side], dim=1)
            torch.testing.assert_close(vectors, expected)

    @pytest.mark.parametrize(("role", "has", "lacks"), [("query", 0, 1), ("gallery", 1, 0)])
    def test_a_role_encodes_its_side_alone(self, raml, pictures, encoding, role, has, lacks):
        one = raml.encode(pictures, role, keep_maps=False)
        sides = [(one.student, encoding.student), (one.teacher, encoding.teacher)]
        torch.testing.assert_close(*sides[has])
        assert sides[lacks][0] is None and one.maps is None

    @pytest.mark.parametrize("sides", ["student", "teacher"])
    def test_one_network_can_look_at_both_sides(self, raml, pictures, encoding, sides):
        model = raml.with_sides(sides)
        own = model.encode(pictures)
        vectors = getattr(encoding, sides)
        expected = 1 - vectors @ vectors.T
        torch.testing.assert_close(model.distance_matrix(own, own), expected, atol=1e-6, rtol=1e-5)
        # An encoding of both sides will do as well.
        torch.testing.assert_close(model.distance_matrix(encoding, encoding), expected, atol=1e-6, rtol=1e-5)

    def test_other_sides_share_all_weights(self, raml):
        ours, theirs = raml.state_dict(), raml.with_sides("teacher").state_dict()
        assert all(ours[name].data_ptr() == theirs[name].data_ptr() for name in ours)
        assert raml.config.sides == "asymmetric"

    def test_at_another_scale_the_student_sees_as_much_less(self, raml):
        assert raml.at_scale(0.5).config.student_size == 16
        assert raml.at_scale(0.5).trunk is raml.trunk

    def test_one_map_needs_a_role(self, raml, pictures):
        maps = raml.trunk_maps(pictures, "gallery")
        with pytest.raises(EncodingError, match="role=query or role=gallery"):
            raml.encode_maps(maps)

    def test_what_an_encoding_lacks_is_said(self, raml, pictures, encoding):
        queries = raml.encode(pictures, "query", keep_maps=False)
        with pytest.raises(EncodingError, match=r"lacks the teacher's vectors.*role=gallery"):
            raml.distance(encoding, queries)
        with pytest.raises(EncodingError, match="lacks the teacher's vectors"):
            raml.rows(queries, "gallery")
        assert len(raml.rows(queries, "query")) == len(pictures)
        assert torch.equal(raml.node_vectors(queries), queries.student)

    def test_maps_in_a_cache_go_by_the_students_size(self, raml, new_raml):
        assert raml.maps_settings != new_raml(student_size=48).maps_settings


class TestDistance:
    def test_is_one_minus_the_cosine_of_student_and_teacher(self, raml, encoding):
        expected = 1 - encoding.student @ encoding.teacher.T
        torch.testing.assert_close(raml.distance_matrix(encoding, encoding), expected, atol=1e-6, rtol=1e-5)
        torch.testing.assert_close(raml.distance(encoding[0], encoding), expected[0], atol=1e-6, rtol=1e-5)

    def test_is_not_symmetric(self, raml, encoding):
        there, back = raml.distance(encoding[0], encoding[1]), raml.distance(encoding[1], encoding[0])
        assert not torch.allclose(there, back)

    def test_encodings_of_another_method_or_width_are_refused(self, raml, new_raml, embedding, pictures):
        with pytest.raises(EncodingError, match="need a RamlEncoding"):
            raml.distance(embedding.encode(pictures), embedding.encode(pictures))
        other = new_raml(nodes=6).encode(pictures)
        with pytest.raises(EncodingError, match="encode with this model"):
            raml.distance(other, other)


class TestExplanation:
    @pytest.mark.parametrize("split", SPLITS)
    @pytest.mark.parametrize("pooling", POOLINGS)
    def test_parts_and_gap_add_up_and_maps_add_up_to_each_part(self, new_raml, pictures, pooling, split):
        model = new_raml(pooling=pooling, student=(3,))
        encoding = model.encode(pictures)
        explanation = model.explain(encoding[0], encoding[1], split=split)
        parts = sum(component.value for component in explanation.components)
        assert parts + explanation.residual == pytest.approx(explanation.total, abs=1e-12)
        assert not explanation.exact
        assert [component.name for component in explanation.components] == ["low", "high"]
        for component in explanation.components:
            assert map_sum(component) == pytest.approx(component.value, abs=1e-9)
        assert explanation.total == pytest.approx(float(model.distance(encoding[0], encoding[1])), abs=1e-6)

    def test_parts_are_half_of_either_networks_distance(self, raml, encoding):
        explanation = raml.explain(encoding[0], encoding[1])
        for name, sides in (("low", "student"), ("high", "teacher")):
            distance = float(raml.with_sides(sides).distance(encoding[0], encoding[1]))
            assert explanation.component(name).value == pytest.approx(distance / 2, abs=1e-6)

    def test_each_part_is_on_its_own_networks_cells(self, new_raml, pictures):
        encoding = new_raml(student_size=32).encode(pictures)
        explanation = new_raml(student_size=32).explain(encoding[0], encoding[1])
        assert explanation.component("low").map_a.shape == (1, 1)
        assert explanation.component("high").map_a.shape == (2, 2)

    def test_a_student_that_sees_what_the_teacher_sees_leaves_no_gap(self, new_raml, pictures):
        model = new_raml(student_size=64)
        for parameters in (model.exponents, model.projections, model.biases):
            parameters[0].copy_(parameters[1])
        encoding = model.encode(pictures)
        explanation = model.explain(encoding[0], encoding[1])
        assert explanation.residual == pytest.approx(0.0, abs=1e-12)
        assert explanation.total > 0

    @pytest.mark.parametrize(("sides", "name"), [("student", "low"), ("teacher", "high")])
    def test_one_network_accounts_for_all(self, raml, pictures, encoding, sides, name):
        model = raml.with_sides(sides)
        for own in (encoding, model.encode(pictures)):
            explanation = model.explain(own[0], own[1])
            (component,) = explanation.components
            assert (component.name, explanation.residual, explanation.exact) == (name, 0.0, True)
            assert component.value == explanation.total == pytest.approx(map_sum(component), abs=1e-9)
            assert explanation.total == pytest.approx(float(model.distance(own[0], own[1])), abs=1e-6)

    def test_needs_the_maps_of_both_sides(self, raml, pictures, encoding):
        for lacking in (
            raml.encode(pictures, keep_maps=False),
            raml.encode_maps(raml.trunk_maps(pictures, "gallery"), "gallery"),
        ):
            with pytest.raises(EncodingError, match="needs the student's map"):
                raml.explain(encoding[0], lacking[0])

    def test_an_unknown_split_is_refused(self, raml, encoding):
        with pytest.raises(ConfigError, match="split must be"):
            raml.explain(encoding[0], encoding[1], split="half")


def test_encodings_of_different_sides_are_not_joined(raml, pictures):
    asked, found = (raml.encode(pictures, role, keep_maps=False) for role in ("query", "gallery"))
    with pytest.raises(EncodingError, match="lack 'student': encode all of them for the same side"):
        type(asked).concatenate([asked, found])


def test_one_map_is_pooled_with_the_exponent_of_the_network_that_looks(raml, pictures):
    features = raml.trunk(pictures)[0]
    for place, sides in enumerate(("student", "teacher")):
        (pooled,) = raml.with_sides(sides).pooled([features])
        expected = F.normalize(AF.generalized_mean(features, raml.exponents[place]), dim=1)
        torch.testing.assert_close(pooled, expected)
    assert not torch.equal(*raml.exponents)


def test_the_measure_has_the_name_of_the_one_part_or_of_the_whole(raml):
    assert raml.measure().parts == ("distance",)
    assert raml.with_sides("student").measure().parts == ("low",)
    assert raml.with_sides("teacher").measure().parts == ("high",)
