#pragma once
// A snapshot made by hand by whoever stole a client's keys: signed, sealed and authentic, its tree is whatever they like.

#include "client/backup/run_key.h"
#include "client/chunking/splitter.h"
#include "client/manifest/segment.h"
#include "tests/support/enrolled_client.h"

namespace holdfast::test {

/// The one content of all files and streams.
inline constexpr std::string_view kContent = "evil bytes";

/// Commits a manifest of one leaf with these entries as they are, in this order. Files and streams of the right size get
/// kContent; others keep the size that they claim, as a hole.
inline void commit_tree(EnrolledClient& client, std::vector<manifest::Entry> entries) {
  Random& random = system_random();
  const keyring::DomainKeys keys(client.ring.domain_key->clone());
  const backup::RunSecrets run = *backup::begin_run(client.ring, system_clock(), random);
  const remote::Opened session = *client.remote->open_session(run.run_record, run.slot, {}, std::nullopt);
  const sealing::Sealer sealer({client.ring.tenant, client.ring.domain, client.ring.domain_epoch}, run.run, run.key,
                               random);
  const auto store = [&](blob::Type type, const BlobId& id, const std::vector<blob::BlobRef>& children, ByteSpan raw) {
    Bytes record = *sealer.seal(type, id, children, raw, {static_cast<std::uint32_t>(raw.size())});
    const Digest digest = blob::record_digest(record);
    HF_ASSERT(client.remote->put(session.session, std::move(record)).has_value());
    return digest;
  };
  const blob::BlobRef data{chunking::group_id(keys.blob, {chunking::fingerprint(keys.fingerprint, as_bytes(kContent))}),
                           run.run};
  store(blob::Type::Data, data.blob, {}, as_bytes(kContent));
  const chunking::Chunker chunker(chunking::make_gear_table(keys.cut), chunking::Class::Files);
  chunking::ContentVerifier verifier(chunker, keys.fingerprint);
  HF_ASSERT(verifier.data(as_bytes(kContent)).has_value());
  const Digest digest = *verifier.finish();

  std::vector<manifest::LeafItem> items;
  std::vector<blob::BlobRef> children;
  for (manifest::Entry& entry : entries) {
    const bool has_content = manifest::has_content(entry.kind);
    if (has_content && entry.size == kContent.size()) {
      entry.extents = {{data, 0, kContent.size()}};
      entry.content_digest = digest;
      children = {data};
    } else if (has_content && entry.size > 0) {
      entry.extents = {{{}, 0, entry.size}};
    }
    items.push_back({std::move(entry), std::nullopt});
  }
  const Bytes leaf = manifest::encode_leaf(items, manifest::RefTable(children));
  snapshot::Core core;
  core.root.run = run.run;
  core.root.blob = manifest::segment_id(keys.blob, blob::Type::Leaf, children, leaf);
  core.root.record_digest = store(blob::Type::Leaf, core.root.blob, children, leaf);
  core.tenant = client.ring.tenant;
  core.domain = client.ring.domain;
  core.epoch = client.ring.domain_epoch;
  core.client = client.ring.client;
  core.sequence = session.next_sequence;
  core.previous = session.previous;
  core.run = run.run;
  const SourceId source = random.id<SourceId>();
  core.sources = {{source, snapshot::SourceResult::Complete}};
  core.certificate = client.ring.certificate;
  snapshot::SealedPart part;
  part.sources = {{source, "files", "files"}};
  part.domain_keys = {{core.domain, core.epoch, to_bytes(keys.domain.span())}};
  core.sealed = sealing::seal_part(run.key, snapshot::sealed_part_context(core), snapshot::encode(part), random);
  HF_ASSERT(client.remote->commit(session.session, snapshot::encode_signed(core, *client.ring.signing)).has_value());
}

}  // namespace holdfast::test
