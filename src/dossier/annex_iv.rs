//! The technical documentation that Article 11 of Regulation (EU) 2024/1689 (AI Act) asks for, in the order of its
//! Annex IV. Each point is there once. It holds what the registry knows, with digests, people and times; where that is
//! not what the point asks for, a line that begins with `GAP:` says what is missing.

mod elements;
mod general;
mod governance;
mod testing;

use super::{
    facts::Facts,
    page::{Page, by, code, inline, list, moment, source},
};

/// A point of the annex: its number, what it asks for in short, and what fills it.
struct Asks(&'static str, &'static str, fn(&mut Point<'_>));

/// A chapter with points of its own, or one that is a point itself.
enum Chapter {
    Of(&'static str, &'static [Asks]),
    One(Asks),
}

use Chapter::{Of, One};

const CHAPTERS: [Chapter; 9] = [
    Of("1. General description of the AI system", &general::POINTS),
    Of("2. Elements of the AI system and process of its development", &elements::POINTS),
    One(Asks("3", "Monitoring, functioning and control of the AI system", governance::functioning)),
    One(Asks("4", "Appropriateness of the performance metrics", governance::metrics)),
    One(Asks("5", "Risk management system (Article 9)", governance::risks)),
    One(Asks("6", "Relevant changes made through the lifecycle", governance::lifecycle)),
    One(Asks("7", "Harmonised standards and other specifications applied", governance::standards)),
    One(Asks("8", "EU declaration of conformity (Article 47)", governance::declaration)),
    One(Asks("9", "Performance in the post-market phase (Article 72)", governance::post_market)),
];

/// One point while it is filled.
struct Point<'a> {
    facts: &'a Facts,
    page: &'a mut Page,
}

impl Point<'_> {
    fn fact(&mut self, text: impl std::fmt::Display) {
        self.page.fact(text);
    }

    fn gap(&mut self, missing: impl std::fmt::Display, filler: impl std::fmt::Display) {
        self.page.gap(missing, filler);
    }

    /// What the newest model card says under the first of these names; a gap if it says nothing.
    fn card(&mut self, names: &[&str], missing: &str) {
        match self.facts.part(names) {
            Some((name, text, evidence)) => {
                self.page.fact(format!("the model card's part `{name}` ({}):", source(evidence)));
                self.page.quote(text);
            }
            None => {
                let (reference, name) = (self.facts.reference(), names.first().copied().unwrap_or_default());
                let filler = format!(
                    "a model card with a part `{name}`, attached with `gradus eval attach {reference} CARD --kind model_card`"
                );
                self.gap(format!("nothing says {missing}"), filler);
            }
        }
    }

    /// The command that attaches a kind of evidence.
    fn attach(&self, file: &str) -> String {
        format!("`gradus eval attach {} {file}`", self.facts.reference())
    }
}

pub(super) fn write(facts: &Facts) -> String {
    let mut page = Page::default();
    head(&mut page, facts);
    for chapter in &CHAPTERS {
        match chapter {
            One(asks) => point(&mut page, facts, 2, &format!("{}. {}", asks.0, asks.1), asks),
            Of(title, points) => {
                page.heading(2, title);
                for asks in *points {
                    point(&mut page, facts, 3, &format!("{} {}", asks.0, asks.1), asks);
                }
            }
        }
    }
    page.finish()
}

fn point(page: &mut Page, facts: &Facts, level: usize, heading: &str, Asks(.., fill): &Asks) {
    page.heading(level, heading);
    fill(&mut Point { facts, page });
}

fn head(page: &mut Page, facts: &Facts) {
    page.heading(1, &format!("Technical documentation: {}", facts.reference()));
    page.paragraph(
        "In the order of Annex IV to Regulation (EU) 2024/1689. Written by Gradus from what the registry holds; \
         quotations are the words of whoever attached them. A line that begins with \"GAP:\" says what is missing.",
    );
    page.fact(format!("version: {}, manifest {}", facts.reference(), code(&facts.digest)));
    page.fact(format!("registry: {}", inline(&facts.registry.id())));
    if let Some((at, reason)) = &facts.yanked {
        page.fact(format!("withdrawn (yanked) at {}: {}", moment(*at), inline(reason)));
    }
    if let Some(position) = facts.pushed_at {
        page.fact(format!(
            "its making is entry {position} of the registry's log: `gradus audit proof {position}`"
        ));
    }
    page.fact("the registry's log when this was written, as a signed checkpoint (C2SP tlog-checkpoint):");
    page.code(&facts.registry.checkpoint);
}
