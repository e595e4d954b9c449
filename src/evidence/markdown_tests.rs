use super::super::tests::{code, only};
use crate::model::evidence::Statement;
use std::collections::BTreeMap;

fn parts(text: &str) -> BTreeMap<String, String> {
    let Statement::ModelCard(card) = only(text) else { panic!() };
    card.parts
}

fn names(text: &str) -> Vec<String> {
    parts(text).into_keys().collect()
}

const CARD: &str = "\u{feff}---
license: apache-2.0
base_model:
- acme/base-7b
language: [en, de]
datasets:
  - acme/tickets
  - {name: not text}
tags: []
model-index:
- name: triage
---

# Model Card for triage

<!-- Provide a quick summary. -->

Sorts tickets.

## Uses

<!-- Address questions around
how the model is intended to be used. -->

### Direct Use

Sorting support tickets by queue.

### Downstream Use [optional]

[More Information Needed]

### Out-of-Scope Use

Decisions about people.

## Bias, Risks, and Limitations

English and German only.

### Known gaps

```python
# Limitations of this snippet
print('x')
```

### Recommendations

Users should be made aware of the risks. More information needed for further recommendations.

## Training Details

### Training Data

- **Source:** [More Information Needed]

## Evaluation

### Testing Data, Factors & Metrics

<!-- none -->

### Results

0.91 on the golden set.

## Ethical considerations ##

TBD

## License

See LICENSE.
";

#[test]
fn a_card_is_read_by_its_sections() {
    let parts = parts(CARD);
    assert_eq!(parts["license"], "apache-2.0", "the front matter wins");
    assert_eq!(parts["base_model"], "acme/base-7b");
    assert_eq!(parts["language"], "en, de");
    assert_eq!(parts["datasets"], "acme/tickets");
    assert_eq!(parts["intended_use"], "Sorting support tickets by queue.");
    let limitations = &parts["limitations"];
    assert!(limitations.starts_with("Decisions about people."), "{limitations}");
    assert!(limitations.contains("English and German only."));
    assert!(
        limitations.contains("# Limitations of this snippet"),
        "code is text, and counts for what is above"
    );
    assert_eq!(parts["evaluation"], "0.91 on the golden set.");
    assert_eq!(parts["model_card_for_triage"], "Sorts tickets.");
    for blank in ["training_data", "ethical_considerations", "recommendations", "downstream_use", "tags"] {
        assert!(!parts.contains_key(blank), "{blank}: {parts:?}");
    }
}

#[test]
fn an_untouched_template_says_nothing() {
    let template = "---\n{}\n---\n\n# Model Card for Model ID\n\n<!-- x -->\n\n## Uses\n\n[More Information Needed]\n\n\
        ### Direct Use\n\n[more information needed]\n\n## Evaluation\n\n- **Metrics:** [More Information Needed]\n";
    assert_eq!(code(template), "model_card_empty");
    assert_eq!(code("# Only a title\n"), "model_card_empty");
    assert_eq!(code("---\n---\n"), "model_card_empty");
}

#[test]
fn plain_markdown_is_a_card_too() {
    assert_eq!(names("# Triage\n## Limitations\n### Language\nEnglish.\n"), ["language", "limitations"]);
    // What is out of scope is no intended use.
    assert_eq!(names("# T\n## Uses\n### Out-of-scope use\nMedicine.\n"), ["limitations"]);
    assert_eq!(names("#hashtag\n# A\n~~~\n## Limitations\n~~~~\nx\n"), ["a"]);
    assert_eq!(names("# A\n<!-- ## Limitations\nx --> y <!-- z -->\n"), ["a"]);
    assert_eq!(names("# A\n``` not `code`\n## Limitations\nx\n"), ["a", "limitations"]);
    assert_eq!(names("---\r\nlicense: mit\r\n---\r\n## Limitations\r\nx\r\n"), ["license", "limitations"]);
}

#[test]
fn front_matter_is_read_strictly() {
    for (text, wanted) in [
        ("---\nlicense: mit\n", "model_card_invalid"),
        ("---\nlicense: mit\nlicense: other\n---\n# A\nx\n", "model_card_invalid"),
        ("---\nlicense: [\n---\n# A\nx\n", "model_card_invalid"),
    ] {
        assert_eq!(code(text), wanted, "{text}");
    }
    let long = format!("---\n# {}\n---\n# A\nx\n", "x".repeat(300 << 10));
    assert_eq!(code(&long), "model_card_invalid");
    assert_eq!(names("---\n- a list\n---\n# A\nx\n"), ["a"]);
}

#[test]
fn cards_are_bounded() {
    let many: String = (0..500).map(|at| format!("# Heading {at}\ntext\n")).collect();
    let found = parts(&format!("{many}## Limitations\nEnglish.\n"));
    assert_eq!(found.len(), 101);
    assert!(found.contains_key("limitations"));

    let long = format!("# {}\n{}\n", "ä".repeat(500), "word ".repeat(100_000));
    let (name, text) = parts(&long).pop_first().unwrap();
    assert!(name.len() <= 64 && text.len() <= 20_000);
}
