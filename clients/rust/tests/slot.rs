//! The slot's arithmetic, by the cases of `test/vectors/slot`.

mod support;

use lean_aggregator_client::slot::{Duty, SlotTimes, EARLY_MS_DEFAULT};
use serde_json::{json, Value};
use support::vectors::files;

#[test]
fn every_case_of_a_slot_holds() {
    let mut count = 0;
    for (file, content) in files("slot") {
        for case in content["cases"].as_array().unwrap() {
            check(&file, case);
            count += 1;
        }
    }
    println!("{count} cases");
}

fn check(file: &str, case: &Value) {
    let int = |key: &str| case[key].as_i64().unwrap();
    let times = || {
        let times = &case["times"];
        SlotTimes {
            slot_ms: times["slotMs"].as_i64().unwrap(),
            intervals: times["intervals"].as_i64().unwrap(),
            phase_ms: times["phaseMs"].as_i64().unwrap(),
        }
    };
    let (key, returned) = match file {
        "slot.json" => ("slot", json!(times().slot_at(int("atMs")))),
        "interval.json" => {
            let at_ms = times().interval_at(int("slot"), int("interval"));
            ("atMs", json!(at_ms))
        }
        "next-boundary.json" => {
            let at_ms = times().next_boundary_at(int("atMs"));
            ("boundaryAtMs", json!(at_ms))
        }
        "fence.json" => ("fenceAtMs", json!(times().fence_at(int("slot")))),
        "quorum.json" => {
            let duty = &case["duty"];
            let duty = Duty {
                duty_at_ms: duty["dutyAtMs"].as_i64().unwrap(),
                votes: duty["votes"].as_u64().unwrap(),
                expected_votes: duty["expectedVotes"].as_u64().unwrap(),
                early_ms: duty["earlyMs"].as_i64().unwrap_or(EARLY_MS_DEFAULT),
            };
            ("mayStart", json!(duty.may_start(int("atMs"))))
        }
        "steps.json" => {
            let steps = times().steps(int("slot"), int("atMs"), int("fenceAtMs"));
            let steps = steps
                .into_iter()
                .map(|step| json!({"untilAtMs": step.until_at_ms, "weight": step.weight}));
            ("steps", Value::from(steps.collect::<Vec<_>>()))
        }
        _ => panic!("{file}: an unknown file of cases"),
    };
    assert_eq!(returned, case[key], "{file}: {case}");
}
