//! The profile of data that later data are compared with.

use super::document::Document;
use super::{About, Format, Read, malformed};
use crate::drift::profile::{FORMAT as PROFILE, Profile};
use crate::error::Result;
use crate::model::digest::Digest;
use crate::model::evidence::{DriftBaseline, EvidenceKind, Statement};

pub(super) const FORMAT: Format = Format {
    name: "a profile of data (drift-profile/v1)",
    kind: EvidenceKind::DriftBaseline,
    recognises: |document| document.json()["format"].as_str() == Some(PROFILE),
    read,
};

fn read(document: Document, _: &About) -> Result<Vec<Read>> {
    let Document::Json { bytes, value } = document else { return Err(malformed("not a profile: not JSON")) };
    drop(value);
    let profile = Profile::parse(bytes).map_err(|error| malformed(format!("not a profile: {error}")))?;
    let statement = DriftBaseline {
        profile: Digest::sha256(bytes),
        rows: profile.rows(),
        columns: profile.columns().len() as u64,
    };
    Ok(vec![Statement::DriftBaseline(statement).into()])
}

#[cfg(test)]
mod tests {
    use super::super::tests::{code, only};
    use super::*;
    use crate::drift::profile::{ColumnPlan, Kind, Plan, ProfileBuilder, Seed, Settings};

    fn profile() -> String {
        let column = ColumnPlan { name: "length".to_owned(), kind: Kind::Numeric, bins: None };
        let plan = Plan { seed: Seed(1), settings: Settings::default(), columns: vec![column] };
        let mut builder = ProfileBuilder::new(&plan, 0).unwrap();
        builder.columns()[0].numbers(&[1.0, 2.0, 2.0], None).unwrap();
        String::from_utf8(builder.finish().unwrap().to_bytes().unwrap()).unwrap()
    }

    #[test]
    fn a_profile_is_a_baseline() {
        let text = profile();
        let Statement::DriftBaseline(baseline) = only(&text) else { panic!() };
        assert_eq!((baseline.rows, baseline.columns), (3, 1));
        assert_eq!(baseline.profile, Digest::sha256(text.as_bytes()));
    }

    #[test]
    fn a_profile_that_was_tampered_with_is_refused() {
        let more = profile().replace("\"rows\":3", "\"rows\":4");
        assert_eq!(code(&more), "evidence_malformed");
    }
}
