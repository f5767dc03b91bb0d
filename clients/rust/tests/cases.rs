//! The cases and generated sequences of `test/vectors`: the machine returns exactly their effects.

mod support;

use lean_aggregator_client::machine::Machine;
use serde_json::Value;
use support::json::{effects_of, event_of, Names};
use support::vectors::{files, lines};

#[test]
fn every_case_has_exactly_its_effects() {
    let mut count = 0;
    let mut failures = Vec::new();
    for (file, content) in files("adapter") {
        for case in content["cases"].as_array().into_iter().flatten() {
            count += 1;
            if let Err(why) = run(case) {
                failures.push(format!("{file}: {}: {why}", case["name"]));
            }
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
    println!("{count} cases");
}

#[test]
fn every_generated_sequence_has_exactly_its_effects() {
    let mut count = 0;
    let mut failures = Vec::new();
    for (file, sequences) in lines("generated") {
        for sequence in sequences {
            count += 1;
            if let Err(why) = run(&sequence) {
                failures.push(format!("{file}: {count}: {why}"));
            }
        }
    }
    let shown = &failures[..failures.len().min(5)];
    assert!(
        failures.is_empty(),
        "{} of {count}:\n{}",
        failures.len(),
        shown.join("\n")
    );
    println!("{count} sequences");
}

fn run(case: &Value) -> Result<(), String> {
    let names = Names::of(case);
    let mut machine: Machine<String> = names.machine(case);
    for (index, step) in case["steps"].as_array().unwrap().iter().enumerate() {
        let at_ms = step["atMs"].as_u64().ok_or("atMs is no whole number")?;
        let event = event_of(&step["event"], &names);
        let effects = effects_of(machine.handle(event, at_ms), &names);
        let expected = step["effects"].as_array().unwrap();
        if effects != *expected {
            return Err(format!(
                "step {index} at {at_ms} {}\n  expected {}\n  returned {}",
                step["event"],
                Value::from(expected.clone()),
                Value::from(effects)
            ));
        }
        if step["isIdle"]
            .as_bool()
            .is_some_and(|is_idle| is_idle != machine.is_idle())
        {
            let is_idle = machine.is_idle();
            return Err(format!("step {index} at {at_ms}: idle is {is_idle}"));
        }
    }
    Ok(())
}
