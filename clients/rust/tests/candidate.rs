//! The growing candidate returns exactly the effects of `test/vectors/candidate`.

mod support;

use lean_aggregator_client::machine::candidate::{
    BlockRef, Candidate, Effects, Finished, Offered, Submit,
};
use serde_json::{json, Value};
use support::vectors::{files, lines, number, numbers, text};

#[test]
fn every_case_and_sequence_has_exactly_its_effects_and_its_best() {
    let mut count = 0;
    let files = files("candidate");
    let cases = files.iter().flat_map(|(_, file)| file["cases"].as_array());
    let lines = lines("candidate");
    let sequences = lines.iter().flat_map(|(_, sequences)| sequences);
    for case in cases.flatten().chain(sequences) {
        count += 1;
        play(case);
    }
    println!("{count} cases");
}

fn play(case: &Value) {
    let max = usize::try_from(number(case, "componentsMax")).unwrap();
    let mut candidate = Candidate::new(max);
    for (index, step) in case["steps"].as_array().unwrap().iter().enumerate() {
        let effects = send(&mut candidate, &step["event"]);
        let what = format!("{}: step {index}: {}", case["name"], step["event"]);
        assert_eq!(effects, step["effects"], "{what}");
        assert_eq!(finished(candidate.best()), step["best"], "{what}: best");
    }
}

fn send(candidate: &mut Candidate<String, String>, event: &Value) -> Value {
    let request_id = event["requestId"].as_str();
    let known = || request_id.unwrap();
    let block = || BlockRef {
        slot: number(event, "slot"),
        parent: text(event, "parent").into(),
    };
    let mut taken = Vec::new();
    let effects = match text(event, "kind") {
        "offered" => {
            let components = event["components"].as_array().unwrap().iter();
            let components = components.map(|each| Offered {
                key: text(each, "key").into(),
                worth: number(each, "worth"),
                component: text(each, "component").into(),
            });
            candidate.offered(block(), components.collect())
        }
        "stale" => candidate.stale(),
        "submitted" => candidate.submitted(known().into()),
        "skipped" => candidate.skipped(request_id, event["isFinal"].as_bool().unwrap()),
        "missed" => candidate.missed(request_id),
        "proved" => {
            let is_verified = event["isVerified"].as_bool().unwrap();
            candidate.proved(known(), text(event, "proof").into(), is_verified)
        }
        "superseded" => candidate.superseded(known()),
        "failed" => candidate.failed(known(), &numbers(event, "bad")),
        "tick" => candidate.tick(number(event, "slot")),
        "take" => {
            let (made, effects) = candidate.take(&block());
            taken.push(json!({"kind": "taken", "candidate": finished(made.as_ref())}));
            effects
        }
        kind => panic!("unknown event {kind}"),
    };
    let Effects { cancel, submit } = effects;
    let cancel = cancel
        .iter()
        .map(|id| json!({"kind": "cancel", "requestId": &**id}));
    let submit = submit.map(|Submit { slot, components }| json!({"kind": "submit", "slot": slot, "components": components}));
    taken.extend(cancel.chain(submit));
    Value::from(taken)
}

fn finished(made: Option<&Finished<String, String>>) -> Value {
    made.map_or(
        Value::Null,
        |made| json!({"components": made.components, "worth": made.worth, "proof": made.proof}),
    )
}
