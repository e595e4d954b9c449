//! The demo's files. They are part of the binary (the samples are made by `deploy/examples/make.py`) or made here.

use crate::error::Result;
use serde_json::{Map, Value, json};
use std::{fs, path::Path};

/// What the fine-tune and the weights are trained on: its name and content.
pub const DATASET: (&str, &[u8]) =
    ("triage-train.jsonl", include_bytes!("../../../deploy/examples/datasets/triage-train.jsonl"));

/// The sample files, by their place below the demo's directory.
const FILES: [(&str, &[u8]); 14] = [
    ("contract.json", include_bytes!("../../../deploy/examples/contract.json")),
    ("triage-1.prompt.yaml", include_bytes!("../../../deploy/examples/prompts/triage-1.prompt.yaml")),
    ("triage-2.prompt.yaml", include_bytes!("../../../deploy/examples/prompts/triage-2.prompt.yaml")),
    ("lora/adapter_config.json", include_bytes!("../../../deploy/examples/lora/adapter_config.json")),
    (
        "lora/adapter_model.safetensors",
        include_bytes!("../../../deploy/examples/lora/adapter_model.safetensors"),
    ),
    ("model/config.json", include_bytes!("../../../deploy/examples/model/config.json")),
    ("model/tokenizer.json", include_bytes!("../../../deploy/examples/model/tokenizer.json")),
    ("model/model.safetensors", include_bytes!("../../../deploy/examples/model/model.safetensors")),
    ("model-card.md", CARD),
    ("employment-1.prompt.yaml", include_bytes!("../../../deploy/examples/prompts/employment-1.prompt.yaml")),
    ("employment-2.prompt.yaml", include_bytes!("../../../deploy/examples/prompts/employment-2.prompt.yaml")),
    ("census/2015.csv.gz", include_bytes!("../../../deploy/examples/census/2015.csv.gz")),
    ("census/2017.csv.gz", include_bytes!("../../../deploy/examples/census/2017.csv.gz")),
    ("census/2018.csv.gz", include_bytes!("../../../deploy/examples/census/2018.csv.gz")),
];

pub const CARD: &[u8] = include_bytes!("../../../deploy/examples/evidence/model-card.md");

/// Writes them below a directory.
pub fn write(directory: &Path) -> Result<()> {
    for (name, content) in FILES {
        let path = directory.join(name);
        fs::create_dir_all(path.parent().unwrap_or(directory))?;
        fs::write(path, content)?;
    }
    Ok(())
}

/// Results on a thousand tickets, of which every `miss`-th is sorted wrongly.
pub fn evaluation(miss: usize) -> Vec<u8> {
    const TICKETS: usize = 1000;
    let right = |number: usize| !number.is_multiple_of(miss);
    let examples: Map<String, Value> =
        (1..=TICKETS).map(|number| (format!("ticket-{number}"), json!(right(number)))).collect();
    let count = (1..=TICKETS).filter(|number| right(*number)).count();
    #[expect(clippy::cast_precision_loss, reason = "a thousand")]
    let accuracy = count as f64 / TICKETS as f64;
    let results = json!({
        "gradus": "evaluation/v1",
        "suite": "triage-golden",
        "metrics": { "accuracy": { "value": accuracy, "n": TICKETS, "unit": "ratio" } },
        "examples": { "accuracy": examples },
    });
    results.to_string().into_bytes()
}

/// How the weights were made, as a build system would say it (SLSA provenance).
pub fn provenance(manifest: &str) -> Vec<u8> {
    let statement = json!({
        "_type": "https://in-toto.io/Statement/v1",
        "subject": [{ "name": "ticket-triage", "digest": { "sha256": manifest.trim_start_matches("sha256:") } }],
        "predicateType": "https://slsa.dev/provenance/v1",
        "predicate": {
            "buildDefinition": {
                "buildType": "https://acme.example/build/train@v1",
                "externalParameters": { "recipe": "triage/train.yaml" },
                "resolvedDependencies": [{ "uri": "file:triage-train.jsonl" }],
            },
            "runDetails": { "builder": { "id": "https://acme.example/builders/gpu-7" } },
        },
    });
    statement.to_string().into_bytes()
}
