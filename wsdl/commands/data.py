"""`python -m wsdl data`: prepare, check, parse, unpack and pack dataset folders."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from wsdl.commands.options import Images, Out, Seed, split_names

data = typer.Typer(no_args_is_help=True, help="Make and check dataset folders.")

Folder = Annotated[Path, typer.Argument(help="A dataset folder, or an unpacked Dolos download.")]
Parser = Annotated[str, typer.Option(help="A run of train-parser, or a SegFormer face parser (default: bundled).")]


# --- real faces ---------------------------------------------------------------------------------------------------


@data.command()
def unpack(
    style: Annotated[str, typer.Argument(help="studio or snapshot.")],
    out: Out,
    generators: Annotated[str, typer.Option(help="Generators whose fakes to add, e.g. lama,p2-ddpm.")] = "",
):
    """Write the bundled dataset of one style to a folder, to which fakes can be added."""
    from wsdl.bundle.generator_archives import add_fakes, find_generator_archive
    from wsdl.bundle.unpack import copy_dataset

    for generator in split_names(generators):
        find_generator_archive(style, generator)  # raises before anything is written
    copy_dataset(out, style)
    for generator in split_names(generators):
        add_fakes(out, style, generator)


@data.command()
def parse(
    images: Images,
    out: Annotated[Path, typer.Option(help="Output folder for masks; with --align, for images/ and masks/.")],
    model: Parser = "",
    align: Annotated[bool, typer.Option("--align", help="Align the faces by their eyes, as in CelebA-HQ.")] = False,
    size: Annotated[int, typer.Option(min=8, help="Side of aligned images in pixels.")] = 256,
    skip_bad: Annotated[bool, typer.Option("--skip-bad", help="Report and skip images that fail.")] = False,
):
    """Predict component masks (CelebAMask-HQ numbering) for images that have none, resumable."""
    from wsdl.parsing.parse import parse_folder

    parse_folder(images, out, model, align, size, skip_bad)


@data.command()
def parse_score(
    data: Annotated[Path, typer.Option(help="A dataset folder with component masks.")],
    model: Parser = "",
    split: Annotated[str, typer.Option(help="train, valid, test or all.")] = "test",
    seed: Annotated[int, typer.Option(help="Random seed of the bootstrap intervals.")] = 0,
):
    """F1 of predicted component masks, pooled over pixels and as a mean over images with its interval."""
    from wsdl.parsing.score import score_parser

    print(score_parser(data, model, split, seed).to_csv(index=False, float_format="%.4f"), end="")


@data.command()
def prepare(
    out: Out,
    images: Annotated[Path | None, typer.Option(help="Folder of face images, of which fakes will be made.")] = None,
    masks: Annotated[
        Path | None,
        typer.Option(
            help="With --images: component masks, CelebAMask-HQ numbering; with --partial: masks, 255 = real, 0 = "
            "fake, of those edited images whose region is known. Same stems."
        ),
    ] = None,
    real: Annotated[Path | None, typer.Option(help="Folder of real images, instead of --images.")] = None,
    full: Annotated[Path | None, typer.Option(help="Folder of wholly generated images (setup a).")] = None,
    partial: Annotated[Path | None, typer.Option(help="Folder of edited images, regions unknown (setup b).")] = None,
    group_by: Annotated[
        str,
        typer.Option(
            help="Which of --real, --full and --partial stay in one split: a separator (the name up to it), a number "
            "(the first N characters) or a CSV file with columns file, group."
        ),
    ] = "",
    source: Annotated[
        str, typer.Option(help="celebahq, ffhq or coco-glide (as unpacked), photos, or a name for dataset.json.")
    ] = "photos",
    licence: Annotated[str, typer.Option(help="Licence of the images, for dataset.json.")] = "unknown",
    size: Annotated[
        int | None, typer.Option(min=8, help="Side of the images in pixels (default: 128; of coco-glide 256).")
    ] = None,
    seed: Seed = 0,
    skip_bad: Annotated[bool, typer.Option("--skip-bad", help="Report and skip damaged images.")] = False,
    counts: Annotated[
        str, typer.Option(help="TRAIN/VALID/TEST faces to use, or paper: 9000/900/900 (default: all).")
    ] = "",
    lists: Annotated[
        Path | None, typer.Option(help="celebahq: folder of CelebA's identity and partition lists.")
    ] = None,
):
    """Convert images and component masks, or two folders of real and fake images, to a dataset folder, resumable."""
    from wsdl.data.coco_glide import SIZE, prepare_coco_glide
    from wsdl.data.layout import parse_counts
    from wsdl.data.prepare import prepare_dataset

    if bool(images) == bool(real):
        raise typer.BadParameter("give either --images or --real.")
    if real and (counts or lists):
        raise typer.BadParameter("--counts and --lists need --images.")
    if source == "coco-glide" and images:
        if masks or counts or lists:
            raise typer.BadParameter(
                "--masks, --counts and --lists are not for coco-glide, whose masks are in --images."
            )
        return prepare_coco_glide(images, out, size or SIZE, licence)
    size = size or 128
    if real:
        from wsdl.data.two_folders import prepare_two_folders

        return prepare_two_folders(real, out, full, partial, masks, size, seed, source, licence, group_by, skip_bad)
    if full or partial or group_by:
        raise typer.BadParameter("--full, --partial and --group-by need --real.")
    prepare_dataset(images, masks, out, size, seed, source, licence, skip_bad, parse_counts(counts), lists)


# --- checks, also of fakes ----------------------------------------------------------------------------------------


@data.command()
def check(folder: Folder):
    """Check sha256, image sizes, mask polarity and leaks between splits. Exit code 1 if there is a fault."""
    from wsdl.data.check import check_dataset, summarize_dataset

    problems = check_dataset(folder)
    print(summarize_dataset(folder).to_string(index=False))
    for problem in problems:
        print(problem, file=sys.stderr)
    raise typer.Exit(1 if problems else 0)


@data.command()
def audit(
    folder: Folder,
    kind: Annotated[
        str, typer.Option(help="partial: files, and pixels outside the mask; full: files (default: what there is).")
    ] = "",
    seed: Seed = 0,
):
    """Test whether properties other than the forgery separate real from fake: AUC and interval per property."""
    from wsdl.data.audit import audit_dataset

    print(audit_dataset(folder, kind=kind, seed=seed).to_string(index=False))


@data.command()
def judge(folder: Folder):
    """Quality of the partial fakes of each generator: sharpness inside the mask and distance from real regions."""
    from wsdl.fakes.quality import fake_quality

    print(fake_quality(folder).to_csv(index=False, float_format="%.4g"), end="")


@data.command()
def match(folder: Folder, out: Out, seed: Seed = 0):
    """Write a copy of a dataset whose inpainted regions are as sharp as the real ones they replaced."""
    from wsdl.fakes.sharpness import match_sharpness_dataset

    match_sharpness_dataset(folder, out, seed)


@data.command()
def merge(
    folders: Annotated[list[Path], typer.Argument(help="Two or more dataset folders of one image size.")],
    out: Out,
):
    """Copy several dataset folders into one, to train on all of them; splits stay as they are."""
    from wsdl.data.merge import merge_datasets

    merge_datasets(folders, out)


# --- making the bundle --------------------------------------------------------------------------------------------


@data.command()
def halve(
    run: Annotated[Path, typer.Argument(help="A finished run of train-generator.")],
    out: Out,
):
    """Write a generator's run with fp16 weights, as the bundle stores it; make the fakes of the bundle with these."""
    from wsdl.bundle.pack import halve_run

    halve_run(run, out)


@data.command()
def bundle(
    style: Annotated[str, typer.Option(help="Name of the style, as in `data unpack STYLE`.")],
    data: Annotated[Path, typer.Option(help="A finished dataset folder of this style.")],
    p2: Annotated[Path, typer.Option("--p2", help="The finished P2 run whose weights made its fakes.")],
    out: Annotated[Path, typer.Option(help="Output file.")],
):
    """Pack a dataset and its P2 generator into one archive, and verify it; prints its contents in MB."""
    from wsdl.bundle.pack import pack_style

    print(pack_style(style, data, p2, out).to_string(index=False, float_format="%.2f"))


@data.command()
def bundle_generator(
    style: Annotated[str, typer.Option(help="The bundled style whose faces were inpainted, e.g. studio.")],
    data: Annotated[Path, typer.Option(help="A dataset folder with these faces and the fakes.")],
    generator: Annotated[str, typer.Option(help="The generator whose fakes to pack, e.g. lama or p2-ddpm.")],
    out: Annotated[Path, typer.Option(help="Output file: STYLE-GENERATOR.zip.")],
    run: Annotated[
        Path | None,
        typer.Option(help="The fp16 run whose weights made them; none for p2-ddpm."),
    ] = None,
):
    """Pack the fakes and weights of a further generator into one archive, and verify it; prints its contents in MB."""
    from wsdl.bundle.pack_generator import pack_generator

    print(pack_generator(style, data, generator, run, out).to_string(index=False, float_format="%.2f"))
