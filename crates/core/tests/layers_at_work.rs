//! What layers do that single predictions do not show: randomness in training, states between batches, graphs that cannot be trained.
#![cfg(feature = "engine")]
#![allow(clippy::cast_precision_loss, reason = "small whole numbers")]

use galaxy_burn_core::keras::layers::{AutoNames, Layer};
use galaxy_burn_core::keras::loss::Loss;
use galaxy_burn_core::keras::model::{LayerOutput, Model, ModelClass, Node};
use galaxy_burn_core::nn::layer::Pass;
use galaxy_burn_core::nn::network::Network;
use galaxy_burn_core::nn::random::Seed;
use galaxy_burn_core::nn::{device, threads};
use serde_json::{Value, json};

fn layer(class_name: &str, config: &Value) -> Layer {
    let config = config.as_object().expect("a config");
    Layer::from_config(class_name, config, &mut AutoNames::default()).expect("a layer")
}

fn chain(layers: Vec<Layer>, input: &[usize]) -> Network {
    let model = Model::sequential("sequential_1", layers).expect("a model");
    Network::new(&model, input, Seed(3), &device::default().expect("a backend")).expect("a network")
}

/// What a layer puts out in the training step `step`, for ones.
fn in_training(class_name: &str, config: &Value, input: &[usize], rows: usize, step: u64) -> Vec<f32> {
    let network = chain(vec![layer(class_name, config)], input);
    let len = rows * input.iter().product::<usize>();
    let mut pass = Pass::training(Seed(5), step);
    let trained = network.gradients(vec![1.0; len], vec![0.0; len], Loss::MeanSquaredError, &mut pass);
    trained.expect("a step").predicted
}

#[test]
fn spatial_dropout_drops_whole_channels() {
    for (class_name, input) in [
        ("SpatialDropout1D", &[6, 40][..]),
        ("SpatialDropout2D", &[2, 3, 40]),
        ("SpatialDropout3D", &[2, 3, 1, 40]),
    ] {
        let y = in_training(class_name, &json!({"rate": 0.5}), input, 2, 0);
        let mut dropped = 0;
        for row in y.chunks(6 * 40) {
            for channel in 0..40 {
                let along: Vec<f32> = row[channel..].iter().step_by(40).copied().collect();
                let whole = along.iter().all(|x| *x == 0.0) || along.iter().all(|x| (x - 2.0).abs() < 1e-6);
                assert!(whole, "{class_name}: {along:?}");
                dropped += usize::from(along[0] == 0.0);
            }
        }
        assert!((25..=55).contains(&dropped), "{class_name}: {dropped} of 80");
    }
}

#[test]
fn softmax_in_a_layer_with_the_channels_first_runs_along_the_last_axis_as_in_keras() {
    for (class_name, shape) in [
        ("Conv2D", [2, 4, 3]),
        ("SeparableConv2D", [2, 4, 3]),
        ("DepthwiseConv2D", [2, 4, 3]),
        ("Conv2DTranspose", [2, 4, 3]),
        ("LocallyConnected2D", [2, 4, 3]),
    ] {
        let mut config = json!({"kernel_size": [1, 1], "activation": "softmax", "data_format": "channels_first"});
        if class_name != "DepthwiseConv2D" {
            config["filters"] = json!(2);
        }
        let network = chain(vec![layer(class_name, &config)], &shape);
        let x = (0..24).map(|i| (i * 7 % 11) as f32 / 3.0 - 1.5).collect();
        let y = network.predict(x).expect("a prediction");
        assert_eq!(y.len(), 24, "{class_name}");
        for columns in y.chunks(3) {
            let sum: f32 = columns.iter().sum();
            assert!((sum - 1.0).abs() < 1e-5, "{class_name}: {columns:?}");
        }
    }
}

#[test]
fn noise_is_another_each_step_and_the_same_on_any_number_of_threads() {
    for (class_name, config) in [
        ("GaussianNoise", json!({"stddev": 0.5})),
        ("GaussianDropout", json!({"rate": 0.3})),
        ("AlphaDropout", json!({"rate": 0.3})),
        ("SpatialDropout1D", json!({"rate": 0.3})),
    ] {
        let draw = |step, count| {
            let pool = threads::pool(count).expect("threads");
            pool.install(|| in_training(class_name, &config, &[5, 7], 4, step))
        };
        let first = draw(1, 1);
        assert_eq!(first, draw(1, 3), "{class_name}");
        assert_ne!(first, draw(2, 1), "{class_name}");
        assert!(first.iter().any(|x| (x - 1.0).abs() > 1e-3), "{class_name}");
    }
}

#[test]
fn stateful_layers_go_on_where_the_last_batch_ended() {
    let conv = json!({"filters": 2, "kernel_size": [2, 2]});
    let units = json!({"units": 3});
    for (class_name, config, step) in [
        ("ConvLSTM2D", &conv, &[3, 3, 2][..]),
        ("CuDNNLSTM", &units, &[4]),
        ("CuDNNGRU", &units, &[4]),
    ] {
        let network = |stateful: bool, steps: usize| {
            let mut config = config.clone();
            config["stateful"] = json!(stateful);
            let input = [&[steps], step].concat();
            config["batch_input_shape"] = json!([&[2], &input[..]].concat());
            chain(vec![layer(class_name, &config)], &input)
        };
        let len: usize = step.iter().product();
        let x = |row: usize, time: usize| (0..len).map(move |at| ((row * 31 + time * 7 + at) % 11) as f32 / 7.0 - 0.7);
        let rows = |times: std::ops::Range<usize>| -> Vec<f32> {
            (0..2)
                .flat_map(|row| times.clone().flat_map(move |time| x(row, time)))
                .collect()
        };
        let whole = network(false, 4).predict(rows(0..4)).expect("a prediction");
        let kept = network(true, 2);
        let first = kept.predict(rows(0..2)).expect("a prediction");
        let second = kept.predict(rows(2..4)).expect("a prediction");
        assert_ne!(first, second, "{class_name}");
        for (ours, whole) in second.iter().zip(&whole) {
            assert!((ours - whole).abs() < 1e-6, "{class_name}: {ours}, in one go {whole}");
        }
    }
}

/// A graph of layers, each with the numbers of those that it takes.
fn graph(layers: Vec<(Layer, Vec<usize>)>, inputs: Vec<usize>, outputs: Vec<usize>) -> Result<Network, String> {
    let model = Model {
        name: "model_1".into(),
        class: ModelClass::Functional,
        nodes: layers
            .into_iter()
            .zip(1..)
            .map(|((layer, inputs), number)| Node {
                layer,
                inputs: inputs.into_iter().map(LayerOutput::first).collect(),
                number,
            })
            .collect(),
        inputs,
        outputs: outputs.into_iter().map(LayerOutput::first).collect(),
    };
    let device = device::default().expect("a backend");
    Network::new(&model, &[4, 2], Seed(3), &device).map_err(|error| error.to_string())
}

fn input(name: &str) -> (Layer, Vec<usize>) {
    let config = json!({"name": name, "batch_input_shape": [null, 4, 2]});
    (layer("InputLayer", &config), Vec::new())
}

#[test]
fn a_model_of_several_inputs_or_outputs_is_refused() {
    let dense = |name: &str, from: usize| (layer("Dense", &json!({"name": name, "units": 2})), vec![from]);
    let add = (layer("Add", &json!({"name": "sum"})), vec![0, 1]);
    let refused = graph(vec![input("left"), input("right"), add], vec![0, 1], vec![2]).unwrap_err();
    assert_eq!(
        refused,
        "the model has 2 inputs ('left', 'right'), but there is one table of features: only a model with one input and one output can be \
         trained or asked here"
    );
    let layers = vec![input("x"), dense("a", 0), dense("b", 0)];
    let refused = graph(layers, vec![0], vec![1, 2]).unwrap_err();
    assert_eq!(
        refused,
        "the model has 2 outputs ('a', 'b'), but there is one table of targets: only a model with one input and one output can be \
         trained or asked here"
    );
}

#[test]
fn a_graph_may_put_out_its_input_or_what_later_layers_take_too() {
    let x: Vec<f32> = (0..8).map(|i| i as f32).collect();
    let network = graph(vec![input("x")], vec![0], vec![0]).expect("a network");
    assert_eq!(network.predict(x.clone()).expect("a prediction"), x);
    let double = (layer("Add", &json!({"name": "double"})), vec![0, 0]);
    let unused = (layer("Flatten", &json!({"name": "unused"})), vec![1]);
    let network = graph(vec![input("x"), double, unused], vec![0], vec![1]).expect("a network");
    let doubled: Vec<f32> = x.iter().map(|x| 2.0 * x).collect();
    assert_eq!(network.predict(x).expect("a prediction"), doubled);
}

#[test]
fn masks_of_unlike_steps_cannot_be_merged() {
    let masking = |name: &str, from: usize| (layer("Masking", &json!({"name": name})), vec![from]);
    let crop = (
        layer("Cropping1D", &json!({"name": "last", "cropping": [3, 0]})),
        vec![0],
    );
    let add = (layer("Add", &json!({"name": "sum"})), vec![2, 3]);
    let layers = vec![input("x"), crop, masking("all", 0), masking("one", 1), add];
    let network = graph(layers, vec![0], vec![4]).expect("a network");
    let refused = network.predict(vec![1.0; 8]).unwrap_err().to_string();
    assert_eq!(
        refused,
        "the inputs of a merge have masks of unlike shapes, [1, 4] and [1, 1] (rows and steps); give both the same number of steps"
    );
}

/// A model in which an LSTM hands its states to another one, which is stateful, and a Concatenate takes state and carry, too.
fn encoder(last: &[&str]) -> Network {
    let first = json!({"name": "first", "units": 2, "return_sequences": true, "return_state": true});
    let second = json!({"name": "second", "units": 2, "stateful": true});
    let taken = |layer: &str, output: usize| json!([layer, 0, output, {}]);
    let entry = |class_name: &str, config: Value, inbound: Vec<Value>| {
        let nodes = if inbound.is_empty() {
            json!([])
        } else {
            json!([inbound])
        };
        json!({"class_name": class_name, "name": config["name"], "config": config, "inbound_nodes": nodes})
    };
    let all = [taken("first", 0), taken("first", 1), taken("first", 2)];
    let named = |name: &&str| match *name {
        "second" => taken("second", 0),
        "h" => taken("first", 1),
        _ => taken("first", 2),
    };
    let model = json!({"class_name": "Model", "config": {
        "name": "model_1",
        "layers": [
            entry("InputLayer", json!({"name": "x", "batch_input_shape": [3, 4, 2]}), vec![]),
            entry("LSTM", first, vec![taken("x", 0)]),
            entry("LSTM", second, all.to_vec()),
            entry("Concatenate", json!({"name": "all", "axis": -1}), last.iter().map(named).collect()),
        ],
        "input_layers": [["x", 0, 0]],
        "output_layers": [["all", 0, 0]],
    }});
    let model = Model::from_value(&model).expect("a model");
    Network::new(&model, &[4, 2], Seed(3), &device::default().expect("a backend")).expect("a network")
}

#[test]
fn states_can_be_taken_by_any_layer_and_go_before_those_of_the_last_batch() {
    let x: Vec<f32> = (0..24_u8).map(|i| (f32::from(i) * 0.7).sin()).collect();
    let network = encoder(&["second", "h", "c"]);
    let y = network.predict(x.clone()).expect("a prediction");
    assert_eq!(
        network.predict(x.clone()).expect("a prediction"),
        y,
        "it begins from the given states again"
    );
    let turned = encoder(&["c", "second", "h"]).predict(x).expect("a prediction");
    for (y, turned) in y.chunks(6).zip(turned.chunks(6)) {
        assert_eq!([&y[4..], &y[..4]].concat(), turned);
        assert!(y[2..4] != y[4..], "state and carry differ");
    }
}

#[test]
fn gradients_of_states_are_the_slopes_of_the_loss() {
    let x: Vec<f32> = (0..24_u8).map(|i| (f32::from(i) * 0.7).sin()).collect();
    let truth = vec![0.2_f32; 18];
    let mut network = encoder(&["second", "h", "c"]);
    let mut pass = Pass::training(Seed(0), 0);
    let trained = network.gradients(x.clone(), truth.clone(), Loss::MeanSquaredError, &mut pass);
    let gradients = trained.expect("a step").gradients;
    for (weight, gradient) in gradients.iter().enumerate() {
        let gradient = gradient.as_ref().expect("a gradient");
        for at in [0, gradient.len() / 2, gradient.len() - 1] {
            let mut loss = |step: f32| {
                network.weights_mut()[weight].values[at] += step;
                let found = network
                    .evaluate(x.clone(), &truth, Loss::MeanSquaredError)
                    .expect("a loss")
                    .0;
                network.weights_mut()[weight].values[at] -= step;
                found
            };
            let slope = (loss(1e-2) - loss(-1e-2)) / 2e-2;
            let found = f64::from(gradient[at]);
            assert!(
                (slope - found).abs() < 1e-3 * slope.abs().max(0.02),
                "weight {weight}, {at}: {found}, slope {slope}"
            );
        }
    }
}

#[test]
fn a_relu_behind_batch_normalization_is_the_same_by_each_of_its_names() {
    let x: Vec<f32> = (0..4 * 6 * 2).map(|i| (i as f32 * 0.7).sin()).collect();
    let truth: Vec<f32> = (0..4 * 3).map(|i| (i as f32 * 1.3).cos()).collect();
    let step = |relu: Layer| {
        let network = chain(
            vec![
                layer("Conv1D", &json!({"filters": 5, "kernel_size": [2]})),
                layer("BatchNormalization", &json!({})),
                relu,
                layer("Flatten", &json!({})),
                layer("Dense", &json!({"units": 3})),
            ],
            &[6, 2],
        );
        let mut pass = Pass::training(Seed(1), 0);
        let trained = network.gradients(x.clone(), truth.clone(), Loss::MeanSquaredError, &mut pass);
        let trained = trained.expect("a step");
        let predicted = network.predict(x.clone()).expect("a prediction");
        (trained.loss, trained.gradients, trained.updates, predicted)
    };
    // This one is computed by itself; the others together with the layer before.
    let alone = step(layer("LeakyReLU", &json!({"alpha": 0.0})));
    assert!(
        alone
            .1
            .iter()
            .take(4)
            .flatten()
            .all(|gradient| gradient.iter().any(|x| *x != 0.0))
    );
    assert_eq!(step(layer("Activation", &json!({"activation": "relu"}))), alone);
    assert_eq!(step(layer("ReLU", &json!({}))), alone);
    let clipped = step(layer("ReLU", &json!({"max_value": 0.5})));
    assert!((clipped.0 - alone.0).abs() > 1e-4);
    let closes = |relu: Layer| {
        let network = chain(vec![layer("BatchNormalization", &json!({})), relu], &[12]);
        network.predict(x.clone()).expect("a prediction")
    };
    let by_itself = closes(layer("LeakyReLU", &json!({"alpha": 0.0})));
    assert!(by_itself.contains(&0.0) && by_itself.iter().any(|y| *y > 0.0));
    assert_eq!(closes(layer("ReLU", &json!({}))), by_itself);
}

#[test]
fn an_activation_in_a_layer_of_its_own_is_the_same_as_in_the_layer_before() {
    let x: Vec<f32> = (0..3 * 8 * 8 * 2).map(|i| (i as f32 * 0.7).sin()).collect();
    let truth: Vec<f32> = (0..3 * 4).map(|i| (i as f32 * 1.3).cos()).collect();
    // `relu` takes a layer's configuration without an activation, and puts a relu behind it.
    let step = |relu: &dyn Fn(&str, Value) -> Vec<Layer>| {
        let penalty = json!({"class_name": "L1L2", "config": {"l1": 0.1, "l2": 0.0}});
        let mut layers = relu("Conv2D", json!({"filters": 5, "kernel_size": [3, 3]}));
        layers.push(layer("MaxPooling2D", &json!({"pool_size": [2, 2]})));
        layers.extend(relu("SeparableConv2D", json!({"filters": 4, "kernel_size": [2, 2]})));
        layers.push(layer("Flatten", &json!({})));
        layers.extend(relu("Dense", json!({"units": 6})));
        layers.push(layer("Dense", &json!({"units": 5, "activity_regularizer": penalty})));
        layers.push(layer("Activation", &json!({"activation": "relu"})));
        layers.push(layer("Dense", &json!({"units": 4})));
        for (number, layer) in layers.iter_mut().enumerate() {
            layer.name = format!("layer_{number}");
        }
        let network = chain(layers, &[8, 8, 2]);
        let mut pass = Pass::training(Seed(1), 0);
        let trained = network.gradients(x.clone(), truth.clone(), Loss::MeanSquaredError, &mut pass);
        let trained = trained.expect("a step");
        (
            trained.loss,
            trained.gradients,
            network.predict(x.clone()).expect("a prediction"),
        )
    };
    let inside = step(&|class_name, mut config| {
        config["activation"] = json!("relu");
        vec![layer(class_name, &config)]
    });
    for (name, config) in [("Activation", json!({"activation": "relu"})), ("ReLU", json!({}))] {
        let behind = step(&|class_name, before| vec![layer(class_name, &before), layer(name, &config)]);
        assert_eq!(inside, behind, "{name}");
    }
    // A layer that is never taken in.
    let (loss, gradients, predicted) =
        step(&|class_name, config| vec![layer(class_name, &config), layer("LeakyReLU", &json!({"alpha": 0.0}))]);
    let alike = |a: &[f32], b: &[f32]| a.iter().zip(b).all(|(a, b)| (a - b).abs() < 1e-5);
    assert!((loss - inside.0).abs() < 1e-5 && alike(&predicted, &inside.2));
    for (one, other) in gradients.iter().flatten().zip(inside.1.iter().flatten()) {
        assert!(one.iter().any(|x| *x != 0.0) && alike(one, other));
    }
}

#[test]
fn an_activation_whose_input_is_also_taken_elsewhere_leaves_that_as_it_is() {
    let of = |class_name: &str, name: &str, mut config: Value| {
        config["name"] = json!(name);
        layer(class_name, &config)
    };
    let layers = vec![
        input("x"),
        (
            of("Dense", "sums", json!({"units": 3, "kernel_initializer": "ones"})),
            vec![0],
        ),
        (of("Activation", "positive", json!({"activation": "relu"})), vec![1]),
        (of("Add", "both", json!({})), vec![1, 2]),
    ];
    let network = graph(layers, vec![0], vec![3]).expect("a network");
    let both = network.predict(vec![-1.0; 8]).expect("a prediction");
    assert!(
        both.iter().all(|y| *y < 0.0),
        "relu of a negative sum, and the sum itself: {both:?}"
    );
}

/// Two convolutions that are computed together, each with the pooling behind it.
fn blocks_of_convolution_and_pooling() -> [Layer; 4] {
    let conv = |name: &str| {
        let config = json!({"name": name, "filters": 5, "kernel_size": [3, 3], "activation": "relu"});
        layer("Conv2D", &config)
    };
    let pool = |name: &str| layer("MaxPooling2D", &json!({"name": name, "pool_size": [2, 2]}));
    [conv("first"), pool("first_pool"), conv("second"), pool("second_pool")]
}

#[test]
fn numbers_that_are_none_are_found_where_they_were_made_also_in_layers_that_are_computed_together() {
    let relu = || layer("Activation", &json!({"activation": "relu"}));
    let conv = || layer("Conv1D", &json!({"filters": 5, "kernel_size": [2]}));
    let norm = || layer("BatchNormalization", &json!({}));
    let pool = || layer("MaxPooling2D", &json!({"pool_size": [2, 2]}));
    let pictures = json!({"filters": 5, "kernel_size": [3, 3]});
    let two_of_them = || blocks_of_convolution_and_pooling().into();
    let cases: [(Vec<Layer>, &[usize], usize, &str); 6] = [
        (vec![conv(), relu()], &[6, 4], 0, "1 (Conv1D 'conv1d_1')"),
        (
            vec![conv(), norm(), relu()],
            &[6, 4],
            2,
            "2 (BatchNormalization 'batch_normalization_1')",
        ),
        (
            vec![layer("Conv2D", &pictures), relu(), pool()],
            &[6, 6, 2],
            0,
            "1 (Conv2D 'conv2d_1')",
        ),
        (
            vec![layer("Conv2D", &pictures), pool()],
            &[6, 6, 2],
            0,
            "1 (Conv2D 'conv2d_1')",
        ),
        (two_of_them(), &[12, 12, 2], 1, "1 (Conv2D 'first')"),
        (two_of_them(), &[12, 12, 2], 2, "3 (Conv2D 'second')"),
    ];
    for (mut layers, input, weight, expected) in cases {
        layers.push(layer("Flatten", &json!({})));
        layers.push(layer("Dense", &json!({"units": 2})));
        let mut network = chain(layers, input);
        let x = vec![0.5; input.iter().product()];
        assert_eq!(network.first_not_finite(x.clone()).expect("a run"), None);
        network.weights_mut()[weight].values.fill(f32::NAN);
        assert_eq!(network.first_not_finite(x).expect("a run"), Some(expected));
    }
}

#[test]
fn memory_of_what_lies_between_layers_that_are_computed_together_is_counted_where_training_keeps_it() {
    let network = chain(blocks_of_convolution_and_pooling().into(), &[12, 12, 2]);
    let (input, between, output) = (12 * 12 * 2, 5 * 5 * 5, 5);
    let bytes = |values: usize| 7 * values * size_of::<f32>();
    assert_eq!(network.batch_bytes(7, true), bytes(input + between + 2 * output));
    assert_eq!(network.batch_bytes(7, false), bytes(input + output));
}

#[test]
fn convolutions_that_are_computed_together_have_the_gradients_that_they_have_apart() {
    let conv = |name: &str, bias: bool, trainable: bool| {
        let config = json!({"name": name, "filters": 20, "kernel_size": [3, 3], "activation": "relu", "use_bias": bias,
            "trainable": trainable});
        layer("Conv2D", &config)
    };
    let pool = |name: &str| layer("MaxPooling2D", &json!({"name": name, "pool_size": [2, 2]}));
    let ends = || [layer("Flatten", &json!({})), layer("Dense", &json!({"units": 3}))];
    let x: Vec<f32> = (0..6 * 14 * 14 * 2).map(|i| (i % 23) as f32 / 23.0 - 0.4).collect();
    let truth: Vec<f32> = (0..6 * 3).map(|i| i as f32 / 9.0).collect();
    for case in 0..16 {
        let [bias, more_bias, trainable, more_trainable] = [1, 2, 4, 8].map(|bit| case & bit != 0);
        let network = |between: Vec<Layer>| {
            let first = [conv("first", bias, trainable), pool("first_pool")].into_iter();
            let second = [conv("second", more_bias, more_trainable), pool("second_pool")];
            chain(first.chain(between).chain(second).chain(ends()).collect(), &[14, 14, 2])
        };
        let together = network(Vec::new());
        // What drops nothing still keeps them apart.
        let mut apart = network(vec![layer("Dropout", &json!({"rate": 0.0}))]);
        for (to, from) in apart.weights_mut().iter_mut().zip(together.weights()) {
            to.values.clone_from(&from.values);
        }
        for tracks_input in [false, true] {
            let [together, apart] = [&together, &apart].map(|network| {
                let mut pass = Pass::training(Seed(5), 0);
                pass.tracks_input = tracks_input;
                let (x, truth) = (x.clone(), truth.clone());
                let trained = network.gradients(x, truth, Loss::MeanSquaredError, &mut pass);
                let trained = trained.expect("a step");
                (trained.predicted, trained.gradients, trained.input)
            });
            assert_eq!(together.0, apart.0, "case {case}");
            assert_eq!(together.2.is_some(), tracks_input);
            assert_eq!(together, apart, "case {case}, input {tracks_input}");
        }
    }
}
