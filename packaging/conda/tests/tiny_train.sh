#!/usr/bin/env bash
# Trains a model of four features on 120 rows and predicts them again, with the programs on the PATH: tiny_train.sh TEST_DATA
set -euo pipefail
data=$(cd "$1" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"

table="\"infile1\": \"$data/tables/blobs_X.tsv\", \"header1\": true,
  \"column_selector_options_1\": {\"selected_column_selector_option\": \"all_columns\"}"

cat > train.json <<JSON
{"experiment_schemes": {"infile_estimator": "$data/models/classifier.zip",
    "hyperparams_swapping": {"param_set": []},
    "test_split": {"split_algos": {"test_size": 0.2, "random_state": 7, "shuffle": "simple"}},
    "metrics": {"scoring": {"primary_scoring": "default"}}, "selected_exp_scheme": "train_val"},
  "input_options": {$table, "infile2": "$data/tables/blobs_y.tsv", "header2": true,
    "column_selector_options_2": {"selected_column_selector_option2": "all_columns"}, "selected_input": "tabular"},
  "save": ["save_estimator"]}
JSON
keras_train_and_eval --inputs train.json
awk 'NR == 1 && $0 != "score" { exit 1 } NR == 2 && $0 < 0.8 { exit 1 } END { exit NR != 2 }' result.tabular ||
    { echo "the score is missing or too low:"; cat result.tabular; exit 1; }

cat > predict.json <<JSON
{"infile_estimator": "$work/estimator.zip", "infile_weights": "$work/weights.h5", "method": "predict",
  "input_options": {$table, "selected_input": "tabular"}}
JSON
model_prediction --inputs predict.json
rows=$(wc -l < predictions.tabular)
[ "$rows" = 121 ] || { echo "predictions.tabular has $rows lines, not 121"; exit 1; }
echo "trained, and predicted 120 rows"
