//! Adapter directories of the PEFT library: `adapter_config.json` beside `adapter_model.safetensors`
//! (or `.bin`, which is a pickle and ends as a finding).

use super::inspection::{Adapter, bounded};
use super::reader::malformed;
use super::{FileView, Files, Format, Inspection, gguf, onnx, safetensors};
use crate::error::Result;
use crate::model::digest::shorten;
use crate::model::json::parse_strict;
use crate::model::kind::Kind;
use serde_json::Value;

pub(super) const FORMAT: Format = Format { kind: Kind::Peft, recognises, inspect };

const CONFIG: &str = "adapter_config.json";
const MAX_CONFIG: usize = 1 << 20;
const MAX_DEPTH: usize = 16;
const MAX_MODULES: usize = 1000;
/// Tokenizers fit; full weights or an optimizer's state do not.
const MAX_BESIDE: u64 = 64 << 20;

fn is_adapter_weights(view: &FileView) -> bool {
    matches!(view.path, "adapter_model.safetensors" | "adapter_model.bin")
}

/// An adapter is an adapter only while nothing beside it is a model: full weights with an adapter
/// configuration laid on top must not pass for the lighter tier.
fn recognises(files: &Files) -> bool {
    let is_model = |view: &FileView| {
        view.source.size() > MAX_BESIDE
            || safetensors::is_safetensors(files, view)
            || gguf::is_gguf(files, view)
            || onnx::is_onnx(files, view)
    };
    files.get(CONFIG).is_some()
        && files.views.iter().any(is_adapter_weights)
        && !files.views.iter().any(|view| !is_adapter_weights(view) && is_model(view))
}

fn inspect(files: &Files, found: &mut Inspection) {
    let config = match files.get(CONFIG) {
        Some(view) => files.reader(view).whole(MAX_CONFIG).and_then(|bytes| parse_strict(&bytes, MAX_DEPTH)),
        None => Err(malformed("the adapter has no configuration")),
    };
    let adapter = config.and_then(|config| {
        let adapter = read_adapter(&config)?;
        found.base = text(&config, "base_model_name_or_path")?.filter(|base| !base.is_empty());
        Ok((adapter, config))
    });
    let (adapter, config) = match adapter {
        Ok((adapter, config)) => (Some(adapter), config),
        Err(error) => {
            found.failed(CONFIG, &error);
            (None, Value::Null)
        }
    };
    for view in files.views.iter().filter(|view| is_adapter_weights(view)) {
        if view.path.ends_with(".bin") {
            found.formats.insert("pickle".into());
            continue;
        }
        found.formats.insert("safetensors".into());
        match safetensors::read_header(files.reader(view)) {
            Ok(header) => {
                found.count(view.path, &header.counts);
                if let Some(adapter) = &adapter {
                    check_lora(view.path, adapter, &config, &header, found);
                }
            }
            Err(error) => found.failed(view.path, &error),
        }
    }
    found.adapter = adapter;
}

fn read_adapter(config: &Value) -> Result<Adapter> {
    if !config.is_object() {
        return Err(malformed("adapter_config.json is not an object"));
    }
    let method =
        text(config, "peft_type")?.ok_or_else(|| malformed("adapter_config.json names no peft_type"))?;
    let alpha = match &config["lora_alpha"] {
        Value::Null => None,
        Value::Number(alpha) => Some(alpha.to_string()),
        _ => return Err(malformed("lora_alpha is not a number")),
    };
    let rank = match &config["r"] {
        Value::Null => None,
        rank => Some(rank.as_u64().ok_or_else(|| malformed("r is not a whole number"))?),
    };
    Ok(Adapter {
        method: Some(method),
        rank,
        alpha,
        target_modules: names(config, "target_modules")?,
        modules_to_save: names(config, "modules_to_save")?,
        task_type: text(config, "task_type")?,
        quantized_base: quantized_base(config),
    })
}

/// PEFT does not record quantisation of the base; these are the signs it leaves.
fn quantized_base(config: &Value) -> Option<String> {
    if config["loftq_config"].as_object().is_some_and(|loftq| !loftq.is_empty()) {
        return Some("loftq_config is set".into());
    }
    if config["quantization_config"].is_object() {
        return Some("quantization_config is set".into());
    }
    let base = config["base_model_name_or_path"].as_str()?.to_ascii_lowercase();
    let sign =
        ["bnb-4bit", "4bit", "int4", "awq", "gptq", "nf4"].into_iter().find(|sign| base.contains(sign))?;
    Some(format!("the base's name says {sign}"))
}

/// The tensors must be those of the adapter that the configuration describes.
fn check_lora(
    path: &str,
    adapter: &Adapter,
    config: &Value,
    header: &safetensors::Header,
    found: &mut Inspection,
) {
    if adapter.method.as_deref() != Some("LORA") {
        return;
    }
    if header.tensors.keys().all(|name| !name.contains("lora_")) {
        return found.problem(path, "the configuration says LORA, but no tensor is of a LoRA");
    }
    let is_set = |key: &str| !matches!(&config[key], Value::Null) && config[key] != serde_json::json!({});
    let Some(rank) = adapter.rank.filter(|_| !is_set("rank_pattern") && !is_set("target_parameters")) else {
        return;
    };
    let wrong = header.tensors.iter().find(|(name, tensor)| {
        name.ends_with(".lora_A.weight") && tensor.rows.is_some_and(|rows| rows != rank)
    });
    if let Some((name, tensor)) = wrong {
        let rows = tensor.rows.unwrap_or_default();
        found.problem(
            path,
            format!("the configuration says rank {rank}, a tensor has {rows}: {}", shorten(name)),
        );
    }
}

fn text(config: &Value, key: &str) -> Result<Option<String>> {
    match &config[key] {
        Value::Null => Ok(None),
        Value::String(text) => Ok(Some(bounded(text))),
        _ => Err(malformed(format!("{key} is not text"))),
    }
}

/// A list of names, or one name or pattern.
fn names(config: &Value, key: &str) -> Result<Vec<String>> {
    let mut names = match &config[key] {
        Value::Null => Vec::new(),
        Value::String(name) => vec![bounded(name)],
        Value::Array(items) if items.len() <= MAX_MODULES => items
            .iter()
            .map(|item| {
                item.as_str()
                    .map(bounded)
                    .ok_or_else(|| malformed(format!("{key} holds something other than names")))
            })
            .collect::<Result<_>>()?,
        _ => return Err(malformed(format!("{key} is not a list of names"))),
    };
    // PEFT writes sets, in any order.
    names.sort();
    names.dedup();
    Ok(names)
}

#[cfg(test)]
mod tests {
    use super::super::Safety;
    use super::super::tests::{inspect_bytes, safetensors_with};
    use super::*;

    fn with_config(config: &str) -> Inspection {
        let weights = safetensors_with(&[
            ("base_model.model.q_proj.lora_A.weight", &[8, 4]),
            ("base_model.model.q_proj.lora_B.weight", &[4, 8]),
        ]);
        inspect_bytes(&[("adapter_config.json", config.as_bytes()), ("adapter_model.safetensors", &weights)])
    }

    #[test]
    fn a_lora_is_read() {
        let found = with_config(
            r#"{"peft_type":"LORA","r":8,"lora_alpha":16.5,"target_modules":["v_proj","q_proj","v_proj"],
                "task_type":"CAUSAL_LM","base_model_name_or_path":"x/Llama-bnb-4bit","modules_to_save":["lm_head"]}"#,
        );
        assert_eq!((found.kind, found.safety, found.parameters), (Kind::Peft, Safety::Safe, Some(64)));
        assert_eq!(found.base.as_deref(), Some("x/Llama-bnb-4bit"));
        let adapter = found.adapter.unwrap();
        assert_eq!((adapter.method.as_deref(), adapter.rank), (Some("LORA"), Some(8)));
        assert_eq!(adapter.alpha.as_deref(), Some("16.5"));
        assert_eq!(adapter.target_modules, ["q_proj", "v_proj"]);
        assert_eq!(adapter.modules_to_save, ["lm_head"]);
        assert!(adapter.quantized_base.unwrap().contains("bnb-4bit"));
    }

    #[test]
    fn configurations_that_contradict_their_weights_are_unknown() {
        for (config, reason) in [
            (r#"{"peft_type":"LORA","r":4}"#, "says rank 4, a tensor has 8"),
            (r#"{"peft_type":"LORA","r":-1}"#, "r is not a whole number"),
            (r#"{"peft_type":5}"#, "peft_type is not text"),
            (r#"{"peft_type":"LORA","target_modules":[1]}"#, "target_modules holds something other"),
            (r#"{"peft_type":"LORA","lora_alpha":"x"}"#, "lora_alpha is not a number"),
            (r#"{"peft_type":"LORA","r":8,"\u0072":8}"#, "duplicate key: r"),
            ("7", "not an object"),
            ("", "not acceptable as JSON"),
        ] {
            let found = with_config(config);
            assert_eq!((found.kind, found.safety), (Kind::Peft, Safety::Unknown), "{config}");
            assert!(found.problems[0].reason.contains(reason), "{config}: {:?}", found.problems);
        }
        assert_eq!(with_config(r#"{"peft_type":"LORA","r":4,"rank_pattern":{"q":8}}"#).safety, Safety::Safe);

        let full = safetensors_with(&[("model.embed.weight", &[8, 4])]);
        let config: &[u8] = br#"{"peft_type":"LORA","r":8}"#;
        let found = inspect_bytes(&[("adapter_config.json", config), ("adapter_model.safetensors", &full)]);
        assert!(found.problems[0].reason.contains("no tensor is of a LoRA"), "{:?}", found.problems);
    }

    /// A file of zeros that takes no memory.
    struct Zeros(u64);

    impl super::super::Source for Zeros {
        fn size(&self) -> u64 {
            self.0
        }

        fn read_at(&self, offset: u64, length: usize) -> Result<Vec<u8>> {
            Ok(vec![0; self.0.saturating_sub(offset).min(length as u64) as usize])
        }
    }

    #[test]
    fn a_large_file_of_any_format_beside_it_is_not_an_adapter() {
        let (config, weights) =
            (br#"{"peft_type":"LORA"}"#.to_vec(), safetensors_with(&[("a.lora_A.weight", &[1])]));
        for (size, kind) in [(MAX_BESIDE, Kind::Peft), (MAX_BESIDE + 1, Kind::Safetensors)] {
            let files = [
                FileView { path: "adapter_config.json", source: &config },
                FileView { path: "adapter_model.safetensors", source: &weights },
                FileView { path: "x.bin", source: &Zeros(size) },
            ];
            assert_eq!(super::super::detect(&files).unwrap(), kind);
        }
    }

    #[test]
    fn pickled_adapter_weights_are_a_finding() {
        let pickled: &[u8] = b"\x80\x02}q\x00.";
        let config: &[u8] = br#"{"peft_type":"LORA","r":8}"#;
        let found = inspect_bytes(&[("adapter_config.json", config), ("adapter_model.bin", pickled)]);
        assert_eq!((found.kind, found.safety), (Kind::Peft, Safety::Unsafe));
        assert_eq!(found.findings[0].path, "adapter_model.bin");
    }
}
