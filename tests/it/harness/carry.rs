//! Versions on their way to another registry, and layouts that are not as `gradus export` wrote them.

use super::{Env, files, govern::W, oci};
use gradus::{
    client::{
        Client, Digests, Progress,
        carry::{Carried, Delivered, Exported, Layout, Source, Wanted, Writer},
    },
    error::Result,
    model::digest::Digest,
};
use serde_json::{Value, json};
use std::{
    fs,
    path::{Path, PathBuf},
    sync::Arc,
};

pub fn client(env: &Env) -> Client {
    Client::local_as(env.router.clone(), env.admin.clone())
}

/// A registry behind a socket.
pub async fn served(router: axum::Router) -> String {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, router).await });
    url
}

pub async fn export(env: &Env, references: &[&str], folder: &Path) -> Vec<Exported> {
    let client = client(env);
    let mut all = Vec::new();
    let mut writer = Writer::open(folder).unwrap();
    for reference in references {
        let resolved = client.resolve(&reference.parse().unwrap()).await.unwrap();
        let carried = client.carry(&resolved, true, client.registry_name().await).await.unwrap();
        all.push(writer.add(&client, &carried, Arc::new(|_| ())).await.unwrap());
    }
    all
}

pub async fn import(env: &Env, folder: &Path, wanted: Wanted) -> Result<Vec<Delivered>> {
    bring(&client(env), folder, wanted).await
}

/// Imports all of a layout as the command does.
pub async fn bring(client: &Client, folder: &Path, wanted: Wanted) -> Result<Vec<Delivered>> {
    let layout = Layout::open(folder)?;
    let (versions, _) = layout.versions(&wanted)?;
    layout.verify(versions.iter().flat_map(Carried::blobs).collect(), Arc::new(|_| ())).await?;
    let work = client.standings(versions).await?;
    let digests = Digests::open(None);
    let source = Source::Layout(&layout, &digests);
    client.expect_room(&work, &source).await?;
    let progress: Progress = Arc::new(|_| ());
    let mut all = Vec::new();
    for (carried, standing) in work {
        let standing = if all.is_empty() { standing } else { client.standing(&carried).await? };
        all.push(client.deliver(&carried, standing, &source, &progress).await?);
    }
    Ok(all)
}

pub async fn copy(from: &Client, reference: &str, to: &Client, workload: &str) -> Result<Delivered> {
    let resolved = from.resolve(&reference.parse().unwrap()).await?;
    let mut carried = from.carry(&resolved, true, None).await?;
    carried.workload = workload.parse().unwrap();
    let standing = to.standing(&carried).await?;
    let progress: Progress = Arc::new(|_| ());
    to.deliver(&carried, standing, &Source::Registry(from, &resolved.workload), &progress).await
}

pub async fn digest_of(env: &Env, reference: &str) -> String {
    let (workload, tag) = reference.split_once(':').unwrap();
    let resolved = env.get(&format!("/v1/workloads/{workload}/resolve/{tag}")).expect(200).await.value();
    resolved["digest"].as_str().unwrap().to_owned()
}

/// A safetensors file of some MiB, so that it goes in a session of its own.
pub fn large(seed: u64) -> Vec<u8> {
    let data = files::noise(seed, 3 << 20);
    let header = format!(
        r#"{{"w":{{"dtype":"F32","shape":[{}],"data_offsets":[0,{}]}}}}"#,
        data.len() / 4,
        data.len()
    );
    let mut bytes = (header.len() as u64).to_le_bytes().to_vec();
    bytes.extend_from_slice(header.as_bytes());
    bytes.extend(data);
    bytes
}

pub async fn push_weights(env: &Env, files: &[(&str, &[u8])]) {
    let mut uploaded = Vec::new();
    for (path, bytes) in files {
        uploaded.push(files::upload(env, W, path, bytes).await);
    }
    let pushed = files::push(env, W, uploaded, json!({ "contract": files::contract() })).await;
    assert_eq!(pushed.status, 201, "{}", pushed.text());
}

pub fn index_of(layout: &Path) -> Value {
    serde_json::from_slice(&fs::read(layout.join("index.json")).unwrap()).unwrap()
}

pub fn write_index(layout: &Path, index: &Value) {
    fs::write(layout.join("index.json"), index.to_string()).unwrap();
}

pub fn blob(layout: &Path, digest: &str) -> PathBuf {
    layout.join("blobs").join(digest.replace(':', "/"))
}

/// The first layer of the first version.
pub fn some_blob(layout: &Path) -> PathBuf {
    let digest = index_of(layout)["manifests"][0]["digest"].as_str().unwrap().to_owned();
    let manifest: Value = serde_json::from_slice(&fs::read(blob(layout, &digest)).unwrap()).unwrap();
    blob(layout, manifest["layers"][0]["digest"].as_str().unwrap())
}

/// Adds a manifest to a layout; its descriptor.
pub fn add(layout: &Path, manifest: &Value, media_type: &str) -> Value {
    let bytes = manifest.to_string().into_bytes();
    let digest = Digest::sha256(&bytes);
    fs::write(blob(layout, digest.as_str()), &bytes).unwrap();
    json!({ "mediaType": media_type, "digest": digest, "size": bytes.len() })
}

pub fn add_blob(layout: &Path, bytes: &[u8]) -> Value {
    let digest = Digest::sha256(bytes);
    fs::write(blob(layout, digest.as_str()), bytes).unwrap();
    json!({ "mediaType": "application/vnd.oci.empty.v1+json", "digest": digest, "size": bytes.len() })
}

/// Nests an index this often.
pub fn nest(layout: &Path, times: usize) {
    let mut index = index_of(layout);
    let mut entry = index["manifests"][0].clone();
    let annotations = entry["annotations"].take();
    for _ in 0..times {
        let inner = json!({ "schemaVersion": 2, "mediaType": oci::INDEX, "manifests": [strip(&entry)] });
        entry = add(layout, &inner, oci::INDEX);
    }
    entry["annotations"] = annotations;
    index["manifests"] = json!([entry]);
    write_index(layout, &index);
}

pub fn strip(entry: &Value) -> Value {
    json!({ "mediaType": entry["mediaType"], "digest": entry["digest"], "size": entry["size"] })
}

pub fn first_manifest(layout: &Path) -> Value {
    let digest = index_of(layout)["manifests"][0]["digest"].as_str().unwrap().to_owned();
    serde_json::from_slice(&fs::read(blob(layout, &digest)).unwrap()).unwrap()
}

pub fn change(layout: &Path, how: fn(&mut Value)) {
    let mut index = index_of(layout);
    how(&mut index["manifests"][0]);
    write_index(layout, &index);
}

pub fn push_entry(layout: &Path, entry: Value) {
    let mut index = index_of(layout);
    index["manifests"].as_array_mut().unwrap().push(entry);
    write_index(layout, &index);
}

pub fn copy_folder(from: &Path, to: &Path) {
    fs::create_dir(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let to = to.join(entry.file_name());
        match entry.file_type().unwrap().is_dir() {
            true => copy_folder(&entry.path(), &to),
            false => drop(fs::copy(entry.path(), to).unwrap()),
        }
    }
}
