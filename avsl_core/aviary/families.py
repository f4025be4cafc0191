"""The twenty families of the aviary: proportions, usual forms, and the colours that suit each other.

A family says how its birds are built, which forms its parts usually have, by which forms its three form
variants are told apart, and which palettes belong together: tones for coat, wing and tail, fronts for the
breast, accents for throat, crest and the mark of the eye, and bare colours for beak and legs.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from avsl_core.aviary.parameters import PARTS, Build

__all__ = ["FAMILIES", "Family"]


@dataclass(frozen=True)
class Family:
    """What the species of one family share.

    Attributes:
        name: Singular, in lower case.
        build: Proportions.
        forms: The form of every part in form variant 0.
        variants: What form variants 1 and 2 change, by part. The first part of both is the one that tells
            all three variants apart.
        tones: Related palettes of coat, wing and tail.
        fronts: Palettes of the breast.
        accents: Palettes of throat, crest and eye.
        bare: Palettes of beak and legs.
        patterns: Textures that the plumage of this family likes, beside the plain one.
    """

    name: str
    build: Build
    forms: Mapping[str, str]
    variants: tuple[Mapping[str, str], Mapping[str, str]]
    tones: tuple[str, ...]
    fronts: tuple[str, ...]
    accents: tuple[str, ...]
    bare: tuple[str, ...]
    patterns: tuple[str, ...]

    @property
    def key(self) -> str:
        """The part whose form tells the three form variants apart."""
        return next(iter(self.variants[0]))

    def variant_forms(self, variant: int) -> dict[str, str]:
        """The form of every part in a form variant.

        Args:
            variant: 0, 1 or 2.
        """
        return dict(self.forms) | ({} if variant == 0 else dict(self.variants[variant - 1]))


def _family(
    name: str,
    build: Build,
    forms: str,
    variants: tuple[dict[str, str], dict[str, str]],
    *,
    tones: str,
    fronts: str,
    accents: str,
    bare: str,
    patterns: str,
) -> Family:
    """A family from lists of words; forms in the order of the parts."""
    return Family(
        name,
        build,
        dict(zip(PARTS, forms.split(), strict=True)),
        variants,
        tuple(tones.split()),
        tuple(fronts.split()),
        tuple(accents.split()),
        tuple(bare.split()),
        tuple(patterns.split()),
    )


# Forms in the order        coat tail legs breast throat wing beak eye crest
FAMILIES: tuple[Family, ...] = (
    _family(
        "wren",
        Build(body=0.85, depth=1.2, head=1.05, neck=0.1, legs=0.9, beak=0.8, tail=0.7, upright=35),
        "uniform rounded slender full chin rounded needle brow none",
        ({"tail": "fan", "coat": "capped"}, {"tail": "pointed"}),
        tones="chestnut rust sand olive",
        fronts="snow sand gold",
        accents="coal snow rust",
        bare="slate sand coal",
        patterns="barred barred streaked spotted",
    ),
    _family(
        "finch",
        Build(body=0.92, depth=1.1, head=1.05, neck=0.2, legs=0.85, beak=0.95, tail=0.95, upright=35),
        "capped forked slender full chin pointed cone plain none",
        ({"crest": "tuft", "coat": "hooded"}, {"crest": "spike"}),
        tones="olive leaf gold teal",
        fronts="gold rose snow scarlet",
        accents="coal scarlet snow",
        bare="sand rose gold",
        patterns="streaked streaked barred",
    ),
    _family(
        "thrush",
        Build(body=1.05, depth=1.0, head=0.95, neck=0.3, legs=1.1, beak=0.9, tail=1.0, upright=42),
        "uniform square slender full stripes rounded needle ring none",
        ({"eye": "brow", "tail": "rounded"}, {"eye": "mask", "breast": "band"}),
        tones="slate sand chestnut olive",
        fronts="snow rust sand gold",
        accents="coal snow gold",
        bare="gold rose coal",
        patterns="spotted spotted streaked",
    ),
    _family(
        "warbler",
        Build(body=0.9, depth=0.88, head=0.95, neck=0.2, legs=0.9, beak=0.7, tail=1.05, upright=28),
        "hooded square slender sides gorget pointed needle brow none",
        ({"coat": "capped", "throat": "stripes"}, {"coat": "saddled", "eye": "stripe"}),
        tones="olive teal slate leaf",
        fronts="gold snow sand",
        accents="coal gold rust",
        bare="slate coal sand",
        patterns="streaked plain barred",
    ),
    _family(
        "jay",
        Build(body=1.1, depth=0.95, head=1.1, neck=0.3, legs=1.1, beak=1.05, tail=1.45, upright=38),
        "naped rounded stout bib collar broad dagger stripe swept",
        ({"crest": "spike", "tail": "square"}, {"crest": "fan"}),
        tones="sky royal slate violet",
        fronts="snow sand rose",
        accents="coal snow royal",
        bare="coal slate gold",
        patterns="barred barred iridescent",
    ),
    _family(
        "dove",
        Build(body=1.1, depth=1.12, head=0.75, neck=0.5, legs=0.6, beak=0.6, tail=1.15, upright=28),
        "naped fan stout full collar pointed cone ring none",
        ({"tail": "pointed", "throat": "gorget"}, {"tail": "square", "coat": "capped"}),
        tones="rose slate sand violet",
        fronts="rose snow sand",
        accents="coal teal snow",
        bare="scarlet rose slate",
        patterns="iridescent plain spotted",
    ),
    _family(
        "swallow",
        Build(body=0.95, depth=0.78, head=0.92, neck=0.1, legs=0.45, beak=0.5, tail=1.5, upright=25),
        "capped forked slender full full swept needle plain none",
        ({"tail": "streamer", "throat": "gorget"}, {"tail": "square", "breast": "band"}),
        tones="royal coal teal violet",
        fronts="snow sand rust",
        accents="rust scarlet snow",
        bare="coal slate chestnut",
        patterns="iridescent iridescent plain",
    ),
    _family(
        "hummingbird",
        Build(body=0.8, depth=0.85, head=1.05, neck=0.2, legs=0.4, beak=2.2, tail=0.9, upright=48),
        "uniform forked slender full gorget swept needle plain none",
        ({"beak": "curve", "tail": "fan"}, {"beak": "dagger", "throat": "full"}),
        tones="leaf teal violet royal",
        fronts="snow sand rose",
        accents="scarlet violet gold rose",
        bare="coal slate scarlet",
        patterns="iridescent iridescent iridescent plain",
    ),
    _family(
        "bee-eater",
        Build(body=1.0, depth=0.82, head=1.0, neck=0.3, legs=0.5, beak=1.5, tail=1.6, upright=45),
        "saddled streamer slender full chin pointed curve stripe none",
        ({"tail": "square", "eye": "mask"}, {"tail": "pointed", "throat": "collar"}),
        tones="leaf teal rust sky",
        fronts="sky gold teal rose",
        accents="gold coal scarlet",
        bare="coal slate chestnut",
        patterns="iridescent plain streaked",
    ),
    _family(
        "kingfisher",
        Build(body=0.95, depth=1.08, head=1.4, neck=0.2, legs=0.45, beak=1.9, tail=0.55, upright=42),
        "capped square stout full collar pointed dagger stripe spike",
        ({"crest": "tuft", "breast": "band"}, {"crest": "none", "tail": "rounded"}),
        tones="teal royal sky slate",
        fronts="rust snow gold",
        accents="snow coal rust",
        bare="scarlet coal gold",
        patterns="spotted iridescent barred",
    ),
    _family(
        "woodpecker",
        Build(body=1.1, depth=0.82, head=1.1, neck=0.35, legs=0.65, beak=1.25, tail=1.05, upright=66),
        "saddled pointed stout full stripes pointed dagger stripe swept",
        ({"crest": "spike"}, {"crest": "fan", "eye": "mask"}),
        tones="coal slate leaf olive",
        fronts="snow sand rose",
        accents="scarlet gold snow",
        bare="slate sand coal",
        patterns="barred spotted barred",
    ),
    _family(
        "parrot",
        Build(body=1.1, depth=1.05, head=1.2, neck=0.2, legs=0.6, beak=1.15, tail=1.6, upright=56),
        "uniform pointed stout full chin broad hook spectacle none",
        ({"crest": "swept", "tail": "rounded"}, {"crest": "curl"}),
        tones="leaf royal scarlet gold",
        fronts="gold rose sky scarlet",
        accents="coal sky gold violet",
        bare="coal sand slate",
        patterns="plain iridescent barred",
    ),
    _family(
        "owl",
        Build(body=1.0, depth=1.35, head=1.55, neck=0.0, legs=0.6, beak=0.7, tail=0.65, upright=72),
        "hooded square feathered full chin broad hook spectacle none",
        ({"crest": "tuft"}, {"crest": "spike", "eye": "mask"}),
        tones="sand chestnut slate rust",
        fronts="snow sand gold",
        accents="coal snow gold",
        bare="gold slate coal",
        patterns="barred spotted streaked",
    ),
    _family(
        "hawk",
        Build(body=1.15, depth=1.0, head=0.95, neck=0.3, legs=1.1, beak=0.95, tail=1.2, upright=58),
        "uniform square feathered full chin broad hook brow none",
        ({"wing": "pointed", "tail": "fan"}, {"wing": "swept", "coat": "hooded"}),
        tones="chestnut slate rust sand",
        fronts="snow sand rust",
        accents="coal snow gold",
        bare="gold coal slate",
        patterns="barred streaked barred",
    ),
    _family(
        "pheasant",
        Build(body=1.25, depth=1.0, head=0.85, neck=0.9, legs=1.05, beak=0.75, tail=2.1, upright=28),
        "hooded pointed stout full collar rounded cone mask none",
        ({"crest": "tuft", "tail": "fan"}, {"crest": "curl", "throat": "lappet"}),
        tones="rust chestnut gold leaf",
        fronts="scarlet violet gold royal",
        accents="snow teal scarlet",
        bare="sand slate gold",
        patterns="barred spotted iridescent",
    ),
    _family(
        "quail",
        Build(body=0.95, depth=1.35, head=0.78, neck=0.4, legs=0.85, beak=0.7, tail=0.45, upright=32),
        "flanked rounded stout full full rounded cone brow curl",
        ({"crest": "spike", "breast": "crescent"}, {"crest": "tuft"}),
        tones="sand slate chestnut olive",
        fronts="sky sand rose snow",
        accents="coal snow rust",
        bare="coal slate gold",
        patterns="spotted streaked barred",
    ),
    _family(
        "duck",
        Build(body=1.35, depth=1.1, head=1.0, neck=0.8, legs=0.5, beak=1.15, tail=0.65, upright=10),
        "hooded pointed webbed full collar pointed spatula stripe none",
        ({"crest": "swept", "tail": "fan"}, {"crest": "tuft", "eye": "mask"}),
        tones="leaf sand slate teal",
        fronts="chestnut rust snow",
        accents="snow gold coal",
        bare="gold rust slate",
        patterns="plain streaked iridescent",
    ),
    _family(
        "gull",
        Build(body=1.25, depth=0.95, head=0.95, neck=0.45, legs=0.8, beak=1.1, tail=0.85, upright=14),
        "saddled square webbed full chin swept hook plain none",
        ({"eye": "ring", "tail": "forked"}, {"eye": "mask", "coat": "capped"}),
        tones="slate coal snow sky",
        fronts="snow rose sand",
        accents="coal scarlet slate",
        bare="gold scarlet rose",
        patterns="plain spotted barred",
    ),
    _family(
        "heron",
        Build(body=1.0, depth=0.82, head=0.8, neck=2.5, legs=2.1, beak=1.7, tail=0.6, upright=42),
        "capped square wader wedge stripes plumed dagger stripe swept",
        ({"beak": "spatula", "crest": "spike"}, {"beak": "curve"}),
        tones="slate sky snow teal",
        fronts="sand chestnut rust rose",
        accents="coal rust snow",
        bare="gold olive coal",
        patterns="streaked spotted plain",
    ),
    _family(
        "stork",
        Build(body=1.15, depth=0.98, head=0.9, neck=1.7, legs=2.2, beak=2.0, tail=0.6, upright=36),
        "uniform square wader full lappet broad dagger ring none",
        ({"beak": "hook", "wing": "plumed"}, {"beak": "curve", "throat": "gorget"}),
        tones="snow coal rose slate",
        fronts="rose sand violet",
        accents="scarlet gold coal",
        bare="scarlet gold rust",
        patterns="plain iridescent spotted",
    ),
)
