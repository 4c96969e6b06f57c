#!/usr/bin/env bash
# Makes everything in wsdl/assets from seeds: renders, generators, fakes, then the face parser and the detectors trained
# on them. About a day on 2 cores; if interrupted, rerun the same command to resume. Users of wsdl do not need this; it
# documents how the bundled images and weights were made. (The bundled fakes by RePaint are of an earlier version of its
# sampler: see wsdl/assets/README.md.)
#   bash ci/bundle.sh [FOLDER]      FOLDER: for intermediate results (out/bundle)
source "$(dirname "$0")/setup.sh"
"$python" -m pip install --quiet --editable '.[render]'
work=${1:-out/bundle}
wsdl() { "$python" -m wsdl "$@"; }

# FACES are bundled; the generator is trained on IMAGES images drawn from STREAM other faces.
make_style() { # STYLE FACES STREAM IMAGES [START: a generator run whose weights to start from]
    local style=$1 faces=$2 stream=$3 images=$4 start=${5:+--start $5} here=$work/$1
    wsdl faces render --style "$style" --count "$faces" --seed 0 --out "$here/faces"
    wsdl faces render --style "$style" --count "$stream" --seed 1 --out "$here/stream"
    for part in faces stream; do
        wsdl data prepare --source "$style" --licence CC0-1.0 --size 128 \
            --images "$here/$part/images" --masks "$here/$part/masks" --out "$here/$part-data"
    done
    # shellcheck disable=SC2086  # start is two words or none
    wsdl train-generator p2 --data "$here/stream-data" --images "$images" $start --out "$here/p2-fp32"
    wsdl data halve "$here/p2-fp32" --out "$here/p2"
    wsdl generate p2 --weights "$here/p2" --count 160 --batch 8 --out "$here/faces-data"
    wsdl generate repaint-p2 --weights "$here/p2" --count 700 --data "$here/faces-data" \
        --batch 8 --T 50 --jump-length 5 --resamplings 3
    wsdl data bundle --style "$style" --data "$here/faces-data" --p2 "$here/p2" --out "wsdl/assets/bundle/$style.zip"
}

make_style studio 700 1500 56000
make_style snapshot 500 800 40000 "$work/studio/p2"

# Further generators are trained on the first faces of that stream and inpaint a copy of the bundled dataset; the archive
# of the style does not change. Half an hour each on one core with bf16.
make_generators() { # STYLE
    local style=$1 here=$work/$1 data=$work/$1/painted seen=$work/$1/seen-data generator
    wsdl faces render --style "$style" --count 700 --seed 1 --out "$here/seen"
    wsdl data prepare --source "$style" --licence CC0-1.0 --size 128 \
        --images "$here/seen/images" --masks "$here/seen/masks" --out "$seen"
    wsdl train-generator lama --data "$seen" --images 40000 --out "$here/lama-fp32"
    wsdl train-generator pluralistic --data "$seen" --images 40000 --out "$here/pluralistic-fp32"
    wsdl train-generator autoencoder --data "$seen" --images 20000 --out "$here/autoencoder"
    wsdl train-generator ldm --data "$seen" --images 50000 --autoencoder "$here/autoencoder" \
        --out "$here/repaint-ldm-clean-fp32"
    for generator in lama pluralistic repaint-ldm-clean; do
        wsdl data halve "$here/$generator-fp32" --out "$here/$generator"
    done
    wsdl data unpack "$style" --out "$data"
    wsdl generate lama --data "$data" --weights "$here/lama" --count 700
    wsdl generate pluralistic --data "$data" --weights "$here/pluralistic" --count 700
    wsdl generate repaint-ldm --clean --data "$data" --weights "$here/repaint-ldm-clean" --count 700 \
        --batch 8 --T 50 --jump-length 5 --resamplings 3
    for generator in lama pluralistic repaint-ldm-clean; do
        wsdl data bundle-generator --style "$style" --data "$data" --generator "$generator" --run "$here/$generator" \
            --out "wsdl/assets/generators/$style-$generator.zip"
    done
}

make_generators studio

# Full fakes by the sampler of the inpainted regions (the paper uses one for both), with the bundled P2 model: 16 minutes.
full=$work/studio/full
wsdl generate p2 --sampler ddpm --count 800 --seed 0 --steps 50 --batch 8 --out "$full"
wsdl data bundle-generator --style studio --data "$full" --generator p2-ddpm --out wsdl/assets/generators/studio-p2-ddpm.zip

ship() { # RUN NAME: copy the files of a run that using it needs, without the trainer state
    mkdir -p "wsdl/assets/$2"
    for file in config.json run.json metrics.json model.safetensors; do
        if [ -f "$1/$file" ]; then install -m 644 "$1/$file" "wsdl/assets/$2/$file"; fi
    done
}

wsdl train-parser --data "$work/studio/faces-data" --data "$work/snapshot/faces-data" --images 60000 --out "$work/parser"
ship "$work/parser" parser
echo '{"fakes": {"sampler": "ddim"}}' >"$work/ddim.json" # the full fakes that patches-a-STYLE was trained on
for style in studio snapshot; do
    wsdl grid run table2 --source "$style" --profile "$work/ddim.json" --only 0,1,2 --slots 2 --out "$work/grid-$style" # Patches A, B, C
    for setup in a b c; do
        ship "$(echo "$work/grid-$style/$style/runs/patches-$setup-"*-s0)" "detectors/patches-$setup-$style"
    done
done
wsdl data unpack studio --out "$work/studio-test"
wsdl data unpack studio --generators p2-ddpm --out "$work/studio-data" # setup a trains on the full fakes by DDPM
for setup in a b c; do # with one thread: OMP_NUM_THREADS=1
    wsdl train --profile evening --method patches-mil --setup "$setup" --data "$work/studio-data" --out "$work/patches-mil-$setup"
    wsdl evaluate "$work/patches-mil-$setup" --data "$work/studio-test"
    ship "$work/patches-mil-$setup" "detectors/patches-mil-$setup-studio"
done

# How each detector judges unaltered portraits of the validation split: reference.json, read by localize.
for style in studio snapshot; do
    wsdl data unpack "$style" --out "$work/$style/reference"
    data=$work/$style/reference
    for run in wsdl/assets/detectors/*-"$style"; do
        wsdl detectors calibrate "$run" --domain "rendered portraits" --images "$data/real/valid" --limit 70 \
            --fakes "$data/fake/repaint-p2/images/valid" --fakes "$data/fake/p2/valid"
    done
done

cd wsdl/assets
find . -type f ! -name SHA256SUMS ! -name README.md -printf '%P\n' | LC_ALL=C sort | xargs sha256sum >SHA256SUMS
