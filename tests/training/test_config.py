import pytest

from avsl_core.config import from_dict, to_dict
from avsl_core.errors import ConfigError
from avsl_core.training import RECIPES, TrainConfig, find_recipe
from avsl_core.training.loss_options import LOSS_OPTIONS


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


def test_a_warm_up_is_no_longer_than_the_main_part_unless_the_trunk_rests_anyway():
    with pytest.raises(ConfigError, match="warmup_epochs=10: must be between 0 and epochs"):
        find_recipe("whole", ["epochs=5"])
    resting = find_recipe("whole", ["epochs=5", "stages=none", "finetune_epochs=1"])
    assert [resting.stages_at(epoch) for epoch in (0, 4, 5)] == ["none", "none", "last"]


def test_cached_views_need_suffice_only_where_they_are_read():
    with pytest.raises(ConfigError, match=r"raml\.views=9: must be at most views, 8"):
        find_recipe("cpu-raml", ["raml.views=9"])
    assert find_recipe("cpu-raml", ["raml.views=9", "stages=all"]).views_at(35) == 9


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
        assert find_recipe("cgd", ["cgd.smoothing=0.2", "cgd.smoothing=0.3"]).cgd.smoothing == 0.3


class TestEffect:
    """Options that would change nothing are refused, with the reason and with what to set."""

    @pytest.mark.parametrize(
        ("recipe", "texts", "message"),
        [
            ("cpu-cgd", ["positive_margin=0.3"], "loss=circle and method=cgd; .* set loss=proxy_anchor"),
            ("cpu-cgd", ["negative_margin=1.3"], "an option of the loss: loss_options.m, loss_options.gamma"),
            ("cpu-cgd", ["loss_alpha=8"], "loss=circle; .* set loss=proxy_anchor"),
            ("cpu-cgd", ["all_proxies_up_to=5"], "loss=circle; .* set loss=proxy_anchor"),
            ("cpu-cgd", ["lr_proxies=1"], "loss=circle and method=cgd .* set loss to one that learns"),
            ("cpu", ["loss=margin", "lr_proxies=1"], "loss=margin and method=avsl"),
            ("cpu", ["loss=margin", "loss_alpha=8"], "loss=margin; .* set loss=proxy_anchor"),
            ("cpu", ["loss=margin", "method=embedding", "positive_margin=0.3"], "loss_options.margin"),
            ("cpu-cgd", ["cgd.smoothing=0.2"], r"cgd.auxiliary_weight=0.0; .* cgd.auxiliary_weight above 0"),
            ("cpu-cgd", ["cgd.auxiliary_temperature=1"], "cgd.auxiliary_weight=0.0"),
            ("cpu-raml", ["raml.triplet_margin=0.5"], "raml.distillation=ts_aug; .* raml.distillation=sym"),
            *(
                ("cpu-raml", ["raml.distillation=ts_reg", text], "raml.distillation=ts_reg; .*ts_aug")
                for text in ("raml.relational_ts=2", "raml.relational_ss=2", "raml.views=2")
            ),
            ("cpu-raml", ["raml.views=1", "raml.relational_ts=2"], "raml.views=1; .* raml.views above 1"),
            ("cpu-raml", ["epochs=24", "raml.views=2"], "epochs=24 and raml.teacher_epochs=24"),
            ("cpu-raml", ["raml.student_weights=none"], "raml.student_backbone=shared"),
            *(
                ("cpu-raml", ["raml.teacher_epochs=0", "raml.distillation=sym", text], "distillation=alone")
                for text in ("loss=margin", "positive_margin=0.3", "lr_proxies=1")
            ),
            ("cpu", ["step_epochs=3"], "schedule=cosine"),
            ("cpu", ["schedule=onecycle", "step_factor=0.3"], "schedule=onecycle"),
            ("cpu", ["finetune_lr_scale=0.5"], "finetune_epochs=0; .* finetune_epochs above 0"),
            ("cpu", ["finetune_stages=all"], "finetune_epochs=0"),
            ("cpu", ["lr_trunk=1e-4"], "stages=none and finetune_epochs=0"),
            ("cub", ["views=3"], "cached=False; .* cached=true"),
            ("cpu", ["stages=all", "views=3"], "stages=all and warmup_epochs=0; .* warmup_epochs above 0"),
            ("cpu", ["warmup_epochs=3"], "stages=none; .* stages=all"),
            *(
                ("cpu-raml", [f"raml.pooling={pooling}", "lr_gates=1"], f"pooling={pooling}; .* gem or gemmp")
                for pooling in ("mac", "spoc", "rmac")
            ),
            *(
                ("cpu-raml", ["stages=all", *texts, "lr_trunk=1e-4"], "student_backbone=shared and .*own")
                for texts in (["raml.teacher_epochs=0", "raml.teacher=t"], ["warmup_epochs=24"])
            ),
            ("cpu-raml", ["finetune_epochs=1", "finetune_stages=all"], "student_backbone=shared and .*own"),
        ],
    )
    def test_an_option_without_any_is_refused(self, recipe, texts, message):
        idle = texts[-1].partition("=")[0]
        for order in (texts, texts[::-1]):
            with pytest.raises(ConfigError, match=f"^{idle}: has no effect with .*{message}"):
                find_recipe(recipe, order)

    @pytest.mark.parametrize(
        ("recipe", "texts"),
        [
            ("cpu-cgd", ["loss=proxy_anchor", "positive_margin=0.3", "loss_alpha=8", "lr_proxies=1"]),
            ("cpu", ["loss=margin", "positive_margin=0.3"]),
            ("cpu-cgd", ["loss=soft_triple", "lr_proxies=1"]),
            ("cpu-cgd", ["cgd.auxiliary_weight=1", "cgd.smoothing=0.2", "cgd.auxiliary_temperature=1"]),
            ("cpu-raml", ["raml.distillation=sym", "raml.teacher_epochs=0", "raml.triplet_margin=0.5"]),
            ("cpu-raml", ["raml.distillation=alone", "raml.teacher_epochs=0", "loss=circle"]),
            ("cpu-raml", ["raml.views=2", "raml.relational_ts=2", "positive_margin=0.3"]),
            ("cpu", ["schedule=cyclic", "step_epochs=3", "step_factor=0.3"]),
            ("cpu", ["finetune_epochs=1", "finetune_stages=all", "finetune_lr_scale=0.5", "lr_trunk=1e-4"]),
            ("whole", ["lr_trunk=1e-4", "views=3", "warmup_epochs=3"]),
            ("cpu", ["stages=all", "warmup_epochs=3", "views=3"]),
            ("cpu-raml", ["raml.pooling=gemmp", "lr_gates=1"]),
            ("cpu-raml", ["stages=all", "lr_trunk=1e-4"]),
            ("cpu-raml", ["stages=all", "raml.teacher_epochs=0", "raml.distillation=sym", "lr_trunk=1e-4"]),
            ("raml", ["raml.teacher_epochs=0", "raml.teacher=t", "lr_trunk=1e-4"]),
            ("raml", ["finetune_epochs=1", "finetune_stages=all"]),
        ],
    )
    def test_the_same_is_taken_where_it_has_one(self, recipe, texts):
        assert find_recipe(recipe, texts) != RECIPES[recipe]

    def test_what_a_recipe_says_itself_may_be_said_again(self):
        assert find_recipe("cpu-cgd", ["positive_margin=0.4"]) == RECIPES["cpu-cgd"]


class TestLossOptions:
    def test_they_are_set_by_name_in_any_order(self):
        texts = ["loss=histogram", "loss_options.n_bins=50"]
        for order in (texts, texts[::-1]):
            assert find_recipe("cpu-cgd", order).loss_options == {"n_bins": 50}

    def test_several_add_up_and_the_last_of_each_counts(self):
        texts = ["loss_options.m=0.3", "loss_options.gamma=64", "loss_options.m=0.25"]
        assert find_recipe("cpu-cgd", texts).loss_options == {"m": 0.25, "gamma": 64.0}

    @pytest.mark.parametrize(
        ("texts", "message"),
        [
            (["loss_options.beta=1"], "no option of loss=circle; known: m, gamma"),
            (["loss=n_pair", "loss_options.beta=1"], "no option of loss=n_pair; it has none"),
            (["loss=proxy_anchor", "loss_options.alpha=1"], "options outside this group, loss_alpha"),
            (["loss=circles", "loss_options.m=1"], "loss=circles: must be one of proxy_anchor"),
            (["loss_options.m=little"], "must be a number between -1 and 1, neither of them"),
            (["loss_options.m=1"], "must be a number between -1 and 1"),
            (["loss_options.m=nan"], "must be a number between"),
            (["loss_options.gamma=0"], "must be a number above 0"),
            (["loss_options.gamma=inf"], "must be a number above 0"),
            (["loss=histogram", "loss_options.n_bins=1"], "must be a whole number between 2 and 10000"),
            (["loss=histogram", "loss_options.n_bins=2.5"], "must be a whole number"),
            (["loss=soft_triple", "loss_options.centers_per_class=0"], "must be a whole number between 1"),
            (["loss=margin", "loss_options.learn_beta=perhaps"], "must be true or false"),
            (["loss=triplet", "loss_options.type_of_triplets=some"], "must be one of semihard, hard, all"),
            (["loss_options=m"], "must be a group of options"),
        ],
    )
    def test_what_the_loss_does_not_know_or_take_is_refused(self, texts, message):
        with pytest.raises(ConfigError, match=message):
            find_recipe("cpu-cgd", texts)

    def test_avsl_has_losses_of_its_own(self):
        with pytest.raises(ConfigError, match="method=avsl has losses of its own; set positive_margin"):
            find_recipe("cpu", ["loss=margin", "loss_options.beta=1"])

    def test_a_loss_that_is_never_used_takes_none(self):
        texts = ["raml.teacher_epochs=0", "raml.distillation=sym", "loss=circle", "loss_options.m=0.3"]
        with pytest.raises(ConfigError, match=r"has no effect with raml\.teacher_epochs=0"):
            find_recipe("cpu-raml", texts)

    @pytest.mark.parametrize("name", LOSS_OPTIONS)
    def test_defaults_are_values_and_travel(self, name):
        defaults = {key: option.default for key, option in LOSS_OPTIONS[name].items()}
        config = TrainConfig(method="cgd", levels=(4,), loss=name, loss_options=defaults)
        assert from_dict(TrainConfig, to_dict(config)) == config
        assert config.loss_options == defaults

    def test_a_number_may_be_given_as_a_whole_one(self):
        config = TrainConfig(method="cgd", levels=(4,), loss="circle", loss_options={"gamma": 64})
        assert isinstance(config.loss_options["gamma"], float)

    def test_later_changes_of_what_was_given_change_nothing(self):
        given = {"m": 0.3}
        config = TrainConfig(method="cgd", levels=(4,), loss="circle", loss_options=given)
        given["m"] = 0.5
        assert config.loss_options == {"m": 0.3}
