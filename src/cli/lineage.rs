//! `gradus lineage`: what a version is made of, what is made of it, and where that runs.

use super::{
    argument,
    print::{Out, count},
};
use crate::{
    client::Client,
    error::{Error, Result},
    gates::named,
    model::{lineage::Relation, reference::Reference},
    wire::{FoundView, LineageEdge, LineageNode, LineageTree, LineageView},
};
use clap::Args;
use std::collections::{BTreeMap, BTreeSet};

#[derive(Args)]
pub struct Lineage {
    /// A version, for example acme/ticket-triage:1.4.0
    #[arg(value_parser = argument::<Reference>, conflicts_with_all = ["base", "dataset", "file"])]
    reference: Option<Reference>,
    /// A base model that is no version here: as versions name it, with or without the revision, or a digest
    #[arg(long, value_name = "MODEL|DIGEST", conflicts_with_all = ["dataset", "file", "up"])]
    base: Option<String>,
    /// A dataset
    #[arg(long, value_name = "NAME|DIGEST", conflicts_with_all = ["file", "up"])]
    dataset: Option<String>,
    /// A file
    #[arg(long, value_name = "DIGEST", conflicts_with = "up")]
    file: Option<String>,
    /// Only what it is made of
    #[arg(long, conflicts_with = "down")]
    up: bool,
    /// Only what is made of it, and where that runs
    #[arg(long)]
    down: bool,
    /// As a graph, in the language of Graphviz
    #[arg(long)]
    dot: bool,
    /// How many steps, at most
    #[arg(long, default_value_t = 32, value_parser = clap::value_parser!(u8).range(1..=32))]
    depth: u8,
}

impl Lineage {
    pub async fn run(self, client: &Client, out: &Out) -> Result<()> {
        if self.dot && out.json {
            return Err(Error::invalid("usage", "a graph is no JSON").hint("give --dot or --json"));
        }
        let depth = usize::from(self.depth);
        let view = match &self.reference {
            Some(reference) => {
                let direction = match (self.up, self.down) {
                    (true, _) => Some("up"),
                    (_, true) => Some("down"),
                    _ => None,
                };
                client.lineage(reference, direction, depth).await?
            }
            None => {
                let asked = [("base", self.base), ("dataset", self.dataset), ("file", self.file)];
                if asked.iter().all(|(_, value)| value.is_none()) {
                    return Err(Error::invalid("usage", "say what is meant").hint(
                        out.command("lineage REF, or one of --base MODEL, --dataset NAME, --file DIGEST"),
                    ));
                }
                client.lineage_of(&asked, depth).await?
            }
        };
        if self.dot {
            out.line(dot(&view));
        } else {
            out.data(&view, |out| show(&view, out))?;
        }
        let trees = || view.up.iter().chain(&view.down);
        if trees().any(|tree| tree.cut) {
            out.note("there is more than is shown: it goes deeper, or it is too much");
        }
        Ok(())
    }
}

fn show(view: &LineageView, out: &Out) {
    if let Some(up) = &view.up {
        let head = if view.down.is_some() { "made of:" } else { "" };
        tell(up, head, |edge| (edge.to, edge.from), out);
    }
    if let Some(down) = &view.down {
        let head = if view.up.is_some() { "what is made of it:" } else { "" };
        tell(down, head, |edge| (edge.from, edge.to), out);
        out.line(summary(down));
    }
}

/// A line for each node, below the one it was come to from; each once in full.
fn tell(tree: &LineageTree, head: &str, way: impl Fn(&LineageEdge) -> (usize, usize), out: &Out) {
    if !head.is_empty() {
        out.line(head);
    }
    let mut below: BTreeMap<usize, Vec<(usize, Relation)>> = BTreeMap::new();
    for edge in &tree.edges {
        let (at, next) = way(edge);
        below.entry(at).or_default().push((next, edge.relation));
    }
    let mut told = BTreeSet::new();
    // A walk of its own: a chain may be long.
    let mut open = vec![(0, 0, None)];
    while let Some((at, depth, relation)) = open.pop() {
        let Some(node) = tree.nodes.get(at) else { continue };
        let is_new = told.insert(at);
        let relation = relation.map(|relation: Relation| format!("{}: ", word(relation))).unwrap_or_default();
        let what = if is_new { describe(node) } else { format!("{} (see above)", printable(&node.name)) };
        out.line(format!("{:width$}{relation}{what}", "", width = 2 * depth));
        if is_new {
            let next = below.get(&at).into_iter().flatten().rev();
            open.extend(next.map(|(next, relation)| (*next, depth + 1, Some(*relation))));
        }
    }
}

fn word(relation: Relation) -> &'static str {
    match relation {
        Relation::File => "same file",
        other => other.name(),
    }
}

fn describe(node: &LineageNode) -> String {
    let name = printable(&node.name);
    let Some(version) = &node.version else {
        let digest = node.digest.as_ref().filter(|digest| !node.name.contains(digest.as_str()));
        let digest = digest.map(|digest| format!(" {digest}")).unwrap_or_default();
        return format!("{name}{digest}");
    };
    let mut words = vec![format!("{name} {} {}", version.tier, version.digest.short())];
    if version.yanked || version.purged {
        words.push(if version.purged { "purged" } else { "yanked" }.to_owned());
    }
    if !version.stages.is_empty() {
        let stages: Vec<&str> = version.stages.iter().map(|stage| stage.as_str()).collect();
        words.push(format!("in {}", stages.join(", ")));
    }
    if version.targets > 0 {
        words.push(format!("on {}: {}", count(version.targets, "target"), named(&node.running_on)));
    }
    if !node.readers.is_empty() {
        let readers: Vec<&str> = node.readers.iter().map(|reader| reader.as_str()).collect();
        words.push(format!("read by {}", readers.join(", ")));
    }
    words.join("; ")
}

/// What others named must not move the cursor.
fn printable(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect()
}

/// What is hit, in one line.
fn summary(tree: &LineageTree) -> String {
    let more = if tree.cut { "more than " } else { "" };
    let mut line =
        format!("{more}{} in {}", count(tree.versions, "version"), count(tree.workloads, "workload"));
    let versions: Vec<(&FoundView, &LineageNode)> =
        tree.nodes.iter().filter_map(|node| Some((node.version.as_ref()?, node))).collect();
    let mut stages: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for (version, node) in &versions {
        for stage in &version.stages {
            stages.entry(stage.as_str()).or_default().push(&node.name);
        }
    }
    // Where it matters most comes first.
    let order = |stage: &str| match stage {
        "production" => 0,
        "dev" => 2,
        _ => 1,
    };
    let mut stages: Vec<_> = stages.into_iter().collect();
    stages.sort_by_key(|(stage, _)| (order(stage), *stage));
    for (stage, names) in stages {
        line.push_str(&format!("; in {stage}: {}", named(names)));
    }
    let running: Vec<String> = versions
        .iter()
        .flat_map(|(_, node)| node.running_on.iter().map(move |target| format!("{target} ({})", node.name)))
        .collect();
    let targets: i64 = versions.iter().map(|(version, _)| version.targets).sum();
    match targets {
        0 => line.push_str("; running nowhere, as far as was reported"),
        _ => line.push_str(&format!("; running on {}: {}", count(targets, "target"), named(running))),
    }
    printable(&line)
}

/// A name in the language of Graphviz, where a quotation mark and a backslash would say something else.
fn quoted(text: &str) -> String {
    let mut quoted = String::from("\"");
    for c in printable(text).chars() {
        if matches!(c, '"' | '\\') {
            quoted.push('\\');
        }
        quoted.push(c);
    }
    quoted.push('"');
    quoted
}

fn dot(view: &LineageView) -> String {
    let (mut nodes, mut edges) = (BTreeMap::new(), BTreeSet::new());
    for tree in view.up.iter().chain(&view.down) {
        let id = |at: usize| {
            tree.nodes.get(at).map(|node| {
                let kind = node.relation.map_or("version", Relation::name);
                quoted(&format!("{kind} {}", node.name))
            })
        };
        for (at, node) in tree.nodes.iter().enumerate() {
            let shape = if node.version.is_some() { "box" } else { "ellipse" };
            if let Some(id) = id(at) {
                nodes.insert(id, format!("[shape={shape}, label={}]", quoted(&describe(node))));
            }
        }
        for edge in &tree.edges {
            if let (Some(from), Some(to)) = (id(edge.from), id(edge.to)) {
                edges.insert(format!("  {from} -> {to} [label={}];", quoted(word(edge.relation))));
            }
        }
    }
    let nodes = nodes.into_iter().map(|(id, what)| format!("  {id} {what};"));
    let lines: Vec<String> = nodes.chain(edges).collect();
    format!("digraph lineage {{\n{}\n}}", lines.join("\n"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn other(name: &str) -> LineageNode {
        LineageNode {
            name: name.to_owned(),
            relation: Some(Relation::Dataset),
            digest: None,
            version: None,
            running_on: Vec::new(),
            readers: Vec::new(),
        }
    }

    #[test]
    fn no_name_says_anything_to_graphviz() {
        let tree = LineageTree {
            nodes: vec![other("a\"];evil [label=\"\\"), other("b\nc")],
            edges: vec![LineageEdge { from: 1, to: 0, relation: Relation::Dataset }],
            cut: false,
            versions: 0,
            workloads: 0,
        };
        let text = dot(&LineageView { up: Some(tree), down: None });
        assert!(text.contains(r#""dataset a\"];evil [label=\"\\""#), "{text}");
        assert!(!text.contains("b\nc") && text.lines().count() == 5, "{text}");
    }

    #[test]
    fn a_circle_is_told_once() {
        let edges = [(0, 1), (1, 0)].map(|(from, to)| LineageEdge { from, to, relation: Relation::Base });
        let tree = LineageTree {
            nodes: vec![other("a"), other("b")],
            edges: edges.into(),
            cut: false,
            versions: 0,
            workloads: 0,
        };
        tell(&tree, "", |edge| (edge.from, edge.to), &Out::new(false, true, String::new()));
        assert_eq!(summary(&tree), "0 versions in 0 workloads; running nowhere, as far as was reported");
    }
}
