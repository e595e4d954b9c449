//! The published schemas are the types. `UPDATE_SCHEMAS=1 cargo test schemas` writes them anew.

use gradus::{kinds::Inspection, model::event::Event, model::resolution::Resolution};
use std::path::Path;

fn check(name: &str, text: &str) {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("schemas").join(name);
    if std::env::var("UPDATE_SCHEMAS").is_ok() {
        std::fs::write(&file, text).unwrap();
    }
    let committed = std::fs::read_to_string(&file).unwrap_or_default();
    assert!(
        committed == text,
        "schemas/{name} is not what the types say; run: UPDATE_SCHEMAS=1 cargo test schemas"
    );
}

fn schema<T: schemars::JsonSchema>() -> String {
    format!("{:#}\n", schemars::schema_for!(T).to_value())
}

#[test]
fn published_schemas_are_the_types() {
    check("openapi.json", &format!("{:#}\n", gradus::http::openapi()));
    check("resolution.schema.json", &schema::<Resolution>());
    check("event.schema.json", &schema::<Event>());
    check("inspection.schema.json", &schema::<Inspection>());
}
