"""`python -m wsdl data`: make, check, parse, pack and unpack dataset folders."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from wsdl.commands.options import Images, Out, Seed, split_names

data = typer.Typer(no_args_is_help=True, help="Make and check dataset folders.")

Folder = Annotated[Path, typer.Argument(help="A dataset folder, or an unpacked Dolos download.")]


@data.command()
def prepare(
    images: Images,
    out: Out,
    masks: Annotated[Path | None, typer.Option(help="Component masks, CelebAMask-HQ numbering, same stems.")] = None,
    source: Annotated[str, typer.Option(help="Name of the source, for the manifest.")] = "photos",
    licence: Annotated[str, typer.Option(help="Licence of the pictures, for the manifest.")] = "unknown",
    size: Annotated[int, typer.Option(help="Side of the pictures in pixels.")] = 128,
    seed: Seed = 0,
    skip_bad: Annotated[bool, typer.Option("--skip-bad", help="Name broken pictures and go on without them.")] = False,
):
    """Pictures and component masks -> a dataset folder, split by source face."""
    from wsdl.data.prepare import prepare_dataset

    prepare_dataset(images, masks, out, size, seed, source, licence, skip_bad)


@data.command()
def check(folder: Folder):
    """Checksums, sizes, polarity, leaks between splits. Exit code 1 if anything is wrong."""
    from wsdl.data.check import check_dataset, summarize_dataset

    problems = check_dataset(folder)
    print(summarize_dataset(folder).to_string(index=False))
    for problem in problems:
        print(problem, file=sys.stderr)
    raise typer.Exit(1 if problems else 0)


@data.command()
def audit(
    folder: Folder,
    kind: Annotated[str, typer.Option(help="partial: pixels outside the mask and files; full: files.")] = "partial",
    seed: Seed = 0,
):
    """Can real be told from fake by what is not the forgery? One AUC with an interval for each property."""
    from wsdl.data.audit import audit_dataset

    print(audit_dataset(folder, kind=kind, seed=seed).to_string(index=False))


@data.command()
def judge(folder: Folder):
    """Are its partial fakes too easy? Sharpness of the paint, and its distance from real regions: a row a generator."""
    from wsdl.fakes.quality import fake_quality as run_judge

    print(run_judge(folder).to_csv(index=False, float_format="%.4g"), end="")


@data.command()
def match(folder: Folder, out: Out, seed: Seed = 0):
    """A copy whose paint is as sharp as what it replaced: what a detector finds there is not mere smoothness."""
    from wsdl.fakes.sharpness import match_sharpness_dataset

    match_sharpness_dataset(folder, out, seed)


@data.command("bundle")
def bundle(
    style: Annotated[str, typer.Option(help="The name by which it is unpacked, e.g. studio.")],
    data: Annotated[Path, typer.Option(help="A finished dataset folder of this style.")],
    p2: Annotated[Path, typer.Option("--p2", help="The finished P2 run whose weights made its fakes.")],
    out: Annotated[Path, typer.Option(help="Where to write the archive.")],
):
    """A dataset and its generator -> one archive, unpacked and compared before it is kept; its contents in MB."""
    from wsdl.bundle.pack import pack_style

    print(pack_style(style, data, p2, out).to_string(index=False, float_format="%.2f"))


@data.command("bundle-generator")
def bundle_generator(
    style: Annotated[str, typer.Option(help="The bundled style whose faces were painted into, e.g. studio.")],
    data: Annotated[Path, typer.Option(help="A dataset folder with these faces and the fakes.")],
    generator: Annotated[str, typer.Option(help="Whose partial fakes, e.g. lama.")],
    run: Annotated[Path, typer.Option(help="The run, halved, whose weights made them.")],
    out: Annotated[Path, typer.Option(help="Where to write the archive: STYLE-GENERATOR.zip.")],
):
    """Fakes by a further generator and its weights -> one archive, unpacked and compared; its contents in MB."""
    from wsdl.bundle.generator_archives import pack_generator

    print(pack_generator(style, data, generator, run, out).to_string(index=False, float_format="%.2f"))


@data.command("unpack")
def unpack(
    style: Annotated[str, typer.Argument(help="studio or snapshot.")],
    out: Annotated[Path, typer.Option(help="Where to write the dataset folder.")],
    generators: Annotated[str, typer.Option(help="Whose partial fakes to add, e.g. lama,pluralistic.")] = "",
):
    """The bundled dataset of one style, as a folder of its own that fakes can be added to."""
    from wsdl.bundle.generator_archives import add_fakes, find_generator_archive
    from wsdl.bundle.unpack import copy_dataset

    for generator in split_names(generators):
        find_generator_archive(style, generator)  # refuses one that is not there before anything is written
    copy_dataset(out, style)
    for generator in split_names(generators):
        add_fakes(out, style, generator)


@data.command("halve")
def halve(
    run: Annotated[Path, typer.Argument(help="A finished run of train-generator.")],
    out: Annotated[Path, typer.Option(help="Where to write the run with fp16 weights.")],
):
    """A generator's run with fp16 weights, as the bundle keeps it; the fakes for the bundle are made with this one."""
    from wsdl.bundle.pack import halve_run

    halve_run(run, out)


Model = Annotated[str, typer.Option(help="A run of train-parser, or a SegFormer face parser; default: the shipped.")]


@data.command("parse")
def parse(
    images: Annotated[Path, typer.Option(help="Folder of face pictures.")],
    out: Annotated[Path, typer.Option(help="Where to write the masks; with --align, images/ and masks/.")],
    model: Model = "",
    align: Annotated[bool, typer.Option("--align", help="Frame the faces as CelebA-HQ does, by their eyes.")] = False,
    size: Annotated[int, typer.Option(help="Side of aligned pictures in pixels.")] = 256,
    skip_bad: Annotated[bool, typer.Option("--skip-bad", help="Name pictures that fail and go on without.")] = False,
):
    """Component masks for pictures that have none, CelebAMask-HQ numbering, resumable."""
    from wsdl.parsing.parse import parse_folder

    parse_folder(images, out, model, align, size, skip_bad)


@data.command("parse-score")
def parse_score(
    data: Annotated[Path, typer.Option(help="A dataset folder with component masks.")],
    model: Model = "",
    split: Annotated[str, typer.Option(help="train, valid, test or all.")] = "test",
    seed: Annotated[int, typer.Option(help="Of the intervals.")] = 0,
):
    """F1 of predicted component masks, pooled and as a mean over pictures with its interval."""
    from wsdl.parsing.score import score_parser

    print(score_parser(data, model, split, seed).to_csv(index=False, float_format="%.4f"), end="")
