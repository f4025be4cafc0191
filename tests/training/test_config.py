import pytest

from avsl_core.errors import ConfigError
from avsl_core.training import RECIPES, TrainConfig, find_recipe


def test_an_unknown_recipe_is_an_error_that_lists_the_known():
    with pytest.raises(ConfigError, match=r"unknown recipe 'cubs'; known: .*cub"):
        find_recipe("cubs")


def test_an_unknown_option_is_an_error_that_names_it():
    with pytest.raises(ConfigError, match="unknown option 'learning_rate'"):
        find_recipe("cpu", ["learning_rate=1"])


@pytest.mark.parametrize("text", ["augmentation.flips=0.5", "preprocess.sise=3"])
def test_an_unknown_option_of_the_picture_pipeline_is_an_error(text):
    with pytest.raises(ConfigError, match="unknown"):
        find_recipe("cpu", [text])


def test_overrides_change_only_what_they_name():
    changed = find_recipe("cpu", ["epochs=3", "level_weights=1,2,3", "augmentation.flip=0", "amp=none"])
    assert (changed.epochs, changed.level_weights, changed.augmentation.flip) == (3, (1.0, 2.0, 3.0), 0.0)
    assert changed.lr_heads == RECIPES["cpu"].lr_heads
    assert RECIPES["cpu"].epochs != 3


def test_levels_mix_indices_and_the_final_convolution():
    assert find_recipe("cpu", ["levels=2,3,head"]).levels == (2, 3, "head")


@pytest.mark.parametrize(
    "text",
    [
        "epochs=0",
        "warmup_epochs=99",
        "batch_size=1",
        "accumulation=7",
        "level_weights=1,2",
        "amp=int8",
        "views=0",
        "lr_heads=-1",
        "epochs=many",
        "cached=perhaps",
        "epochs",
        "samples_per_class=7",
        "finetune_stages=none",
        "seed=-1",
        "step_factor=-1",
        "lr_heads=inf",
        "negative_margin=0.1",
        "level_weights=1,-1,1",
        "final_weight=nan",
        "loss_alpha=0",
        "loss_alpha=inf",
        "clip=inf",
    ],
)
def test_values_out_of_range_are_errors(text):
    with pytest.raises(ConfigError):
        find_recipe("cpu", [text])


def test_the_published_recipes_have_the_published_figures():
    cub, cars, sop = RECIPES["cub"], RECIPES["cars"], RECIPES["sop"]
    assert (cub.level_weights, cub.lr_trunk, cub.lr_heads, cub.lr_gates) == (
        (0.5, 1.0, 0.5),
        1e-5,
        5.5e-4,
        1.1e-4,
    )
    assert (cub.step_epochs, cub.step_factor, cub.warmup_epochs, cub.batch_size) == (10, 0.5, 5, 180)
    assert (cars.level_weights, cars.lr_trunk, cars.lr_heads, cars.lr_gates) == (
        (1.0, 4.0, 4.0),
        2.5e-4,
        1.6e-4,
        0.1,
    )
    assert (cars.step_epochs, cars.step_factor, cars.freeze_norm) == (5, 0.5, True)
    assert (sop.lr_trunk, sop.lr_heads, sop.lr_gates, sop.freeze_norm) == (6e-4, 6e-4, 0.06, False)
    assert (sop.step_epochs, sop.step_factor) == (15, 0.25)
    for recipe in (cub, cars, sop):
        assert (recipe.backbone, recipe.levels, recipe.nodes, recipe.top_k) == (
            "resnet50",
            (2, 3, 4),
            512,
            128,
        )
        assert (recipe.clip, recipe.weight_decay, recipe.head_init) == (10.0, 1e-4, "kaiming")
        assert (recipe.loss_alpha, recipe.positive_margin, recipe.negative_margin) == (16.0, 1.8, 2.2)
        assert (recipe.preprocess.resize, recipe.preprocess.size) == (256, 224)
        assert (recipe.augmentation.scale, recipe.augmentation.resize) == ((0.16, 1.0), 256)


def test_the_whole_network_learns_after_the_heads():
    whole = RECIPES["whole"]
    assert (whole.stages_at(0), whole.uses_cache_at(0)) == ("none", True)
    assert (whole.stages_at(whole.warmup_epochs), whole.uses_cache_at(whole.warmup_epochs)) == ("all", False)


def test_phases_follow_each_other():
    plan = TrainConfig(epochs=4, warmup_epochs=2, stages="all", finetune_epochs=1, cached=True)
    assert [plan.stages_at(epoch) for epoch in range(5)] == ["none", "none", "all", "all", "last"]
    assert [plan.uses_cache_at(epoch) for epoch in range(5)] == [True, True, False, False, False]
    assert plan.total_epochs == 5


def test_parts_of_a_batch_keep_whole_groups_of_a_class():
    options = {"batch_size": 12, "samples_per_class": 4}
    assert TrainConfig(**options, accumulation=3).samples_per_class == 4
    with pytest.raises(ConfigError, match=r"samples_per_class=4: must be a divisor of .*accumulation, 6"):
        TrainConfig(**options, accumulation=2)


def test_structural_distances_want_a_loss_on_pairs():
    with pytest.raises(ConfigError, match=r"loss=circle: .* set diml.structural=false, or one of margin"):
        find_recipe("cpu-diml", ["loss=circle"])
    assert find_recipe("cpu-diml", ["loss=circle", "diml.structural=false"]).loss == "circle"


class TestOverrides:
    @pytest.mark.parametrize(
        ("recipe", "text", "message"),
        [
            ("cpu", "cgd.descriptors=SM", "an option of method cgd, and the method is avsl"),
            ("cpu-cgd", "raml.views=2", "an option of method raml"),
            ("cpu-raml", "diml.grid=2", "an option of method diml"),
            ("cpu", "pooling=avg", "an option of method embedding and diml"),
            ("cpu-cgd", "lr_gates=0.1", "an option of method avsl and raml"),
            *(
                ("cpu-raml", text, "an option of method avsl")
                for text in ("top_k=3", "gamma=1", "certainty=global", "momentum=0.1", "final_weight=2")
            ),
            ("cpu-diml", "level_weights=1", "an option of method avsl"),
        ],
    )
    def test_options_that_the_method_never_reads_are_refused(self, recipe, text, message):
        with pytest.raises(ConfigError, match=f"{text.partition('=')[0]}: {message}"):
            find_recipe(recipe, [text])

    def test_the_method_that_counts_is_the_one_in_the_end(self):
        texts = ["method=cgd", "cgd.descriptors=SM", "levels=head"]
        for order in (texts, texts[::-1]):
            assert find_recipe("cpu", order).cgd.descriptors == "SM"
            with pytest.raises(ConfigError, match="gamma: an option of method avsl"):
                find_recipe("cpu", ["gamma=2", *order])

    def test_what_a_recipe_holds_already_is_its_own_affair(self):
        assert find_recipe("cpu", ["method=embedding", "pooling=avg"]).level_weights == (1.0, 1.0, 1.0)

    @pytest.mark.parametrize("turn", [1, -1])
    def test_values_that_only_go_together_may_be_written_in_any_order(self, turn):
        # Mixing of pictures wants augmented views; the recipe below has it on.
        texts = ["raml.distillation=ts_reg", "raml.mixup=0"]
        assert find_recipe("raml", texts[::turn]).raml.mixup == 0

    def test_the_last_of_several_values_counts(self):
        assert find_recipe("cpu-cgd", ["cgd.smoothing=0.2", "cgd.smoothing=0.3"]).cgd.smoothing == 0.3
