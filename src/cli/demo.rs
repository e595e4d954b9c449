//! `gradus demo`.

use super::{Global, print::Out};
use crate::error::Result;

pub async fn run(_: &Global, _: &Out) -> Result<()> {
    Ok(())
}
