//! A Kafka broker of one partition for each topic, as far as a producer needs one.

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    sync::{Arc, Mutex},
};

use bytes::{Bytes, BytesMut};
use kafka_protocol::{
    messages::{
        ApiKey, ApiVersionsResponse, InitProducerIdResponse, MetadataRequest, MetadataResponse,
        ProduceRequest, ProduceResponse, RequestHeader, ResponseHeader, TopicName,
        api_versions_response::ApiVersion,
        metadata_response::{
            MetadataResponseBroker, MetadataResponsePartition, MetadataResponseTopic,
        },
        produce_response::{PartitionProduceResponse, TopicProduceResponse},
    },
    protocol::{Decodable, Encodable, StrBytes},
    records::{Compression, RecordBatchDecoder},
};
use serde_json::Value;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};

/// What is answered, and the versions of it. Fetch is not, and must be known all the same: a client
/// sees by it which form of messages the broker takes.
const KNOWN: [(ApiKey, i16, i16); 5] = [
    (ApiKey::Fetch, 4, 11),
    (ApiKey::ApiVersions, 0, 3),
    (ApiKey::Metadata, 1, 8),
    (ApiKey::InitProducerId, 0, 4),
    (ApiKey::Produce, 3, 8),
];

/// The running broker.
pub struct Broker {
    pub address: SocketAddr,
    topics: Arc<Mutex<Topics>>,
}

type Topics = BTreeMap<String, Vec<Message>>;

/// One message, as it was produced.
#[derive(Clone, Debug)]
pub struct Message {
    pub key: Option<String>,
    pub value: Value,
    pub compression: Compression,
    /// Whether the producer numbers what it sends, so that a broker can tell repeats.
    pub numbered: bool,
}

impl Broker {
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let topics = Arc::new(Mutex::new(Topics::new()));
        let held = Arc::clone(&topics);
        tokio::spawn(async move {
            while let Ok((connection, _)) = listener.accept().await {
                let held = Arc::clone(&held);
                // A client that goes away ends its connection.
                tokio::spawn(async move { serve(connection, address, &held).await });
            }
        });
        Self { address, topics }
    }

    /// A topic's messages, in their order.
    pub fn messages(&self, topic: &str) -> Vec<Message> {
        self.topics
            .lock()
            .unwrap()
            .get(topic)
            .cloned()
            .unwrap_or_default()
    }
}

async fn serve(
    mut connection: TcpStream,
    address: SocketAddr,
    topics: &Mutex<Topics>,
) -> std::io::Result<()> {
    loop {
        let length = connection.read_i32().await?;
        let mut request = vec![0; length.try_into().unwrap()];
        connection.read_exact(&mut request).await?;
        let response = answer(request.into(), address, topics);
        connection
            .write_i32(response.len().try_into().unwrap())
            .await?;
        connection.write_all(&response).await?;
    }
}

fn answer(mut request: Bytes, address: SocketAddr, topics: &Mutex<Topics>) -> BytesMut {
    let number = |at: usize| i16::from_be_bytes([request[at], request[at + 1]]);
    let (key, version) = (ApiKey::try_from(number(0)).unwrap(), number(2));
    let header = RequestHeader::decode(&mut request, key.request_header_version(version)).unwrap();
    let known = KNOWN.into_iter().find(|(known, ..)| *known == key).unwrap();
    // A client that asks for the versions in one that is not known is answered in the first.
    let version = if version > known.2 { 0 } else { version };
    let mut response = BytesMut::new();
    ResponseHeader::default()
        .with_correlation_id(header.correlation_id)
        .encode(&mut response, key.response_header_version(version))
        .unwrap();
    let body = &mut response;
    match key {
        ApiKey::ApiVersions => versions().encode(body, version),
        ApiKey::Metadata => {
            let request = MetadataRequest::decode(&mut request, version).unwrap();
            metadata(&request, address).encode(body, version)
        }
        ApiKey::InitProducerId => InitProducerIdResponse::default()
            .with_producer_id(7.into())
            .encode(body, version),
        ApiKey::Produce => {
            let request = ProduceRequest::decode(&mut request, version).unwrap();
            produce(&request, topics).encode(body, version)
        }
        other => panic!("{other:?} is not answered"),
    }
    .unwrap();
    response
}

fn versions() -> ApiVersionsResponse {
    let keys = KNOWN.map(|(key, min, max)| {
        ApiVersion::default()
            .with_api_key(key as i16)
            .with_min_version(min)
            .with_max_version(max)
    });
    ApiVersionsResponse::default().with_api_keys(keys.into())
}

fn metadata(request: &MetadataRequest, address: SocketAddr) -> MetadataResponse {
    let broker = MetadataResponseBroker::default()
        .with_node_id(1.into())
        .with_host(StrBytes::from_string(address.ip().to_string()))
        .with_port(address.port().into());
    let topics = request.topics.iter().flatten().map(|topic| {
        let partition = MetadataResponsePartition::default()
            .with_leader_id(1.into())
            .with_replica_nodes(vec![1.into()])
            .with_isr_nodes(vec![1.into()]);
        MetadataResponseTopic::default()
            .with_name(topic.name.clone())
            .with_partitions(vec![partition])
    });
    MetadataResponse::default()
        .with_brokers(vec![broker])
        .with_controller_id(1.into())
        .with_topics(topics.collect())
}

fn produce(request: &ProduceRequest, topics: &Mutex<Topics>) -> ProduceResponse {
    let responses = request.topic_data.iter().map(|topic| {
        let partitions = topic.partition_data.iter().map(|partition| {
            let mut records = partition.records.clone().unwrap();
            let offset = keep(&topic.name, &mut records, topics);
            PartitionProduceResponse::default()
                .with_index(partition.index)
                .with_base_offset(offset)
        });
        TopicProduceResponse::default()
            .with_name(topic.name.clone())
            .with_partition_responses(partitions.collect())
    });
    ProduceResponse::default().with_responses(responses.collect())
}

/// Adds a batch to a topic; the offset of its first message.
fn keep(topic: &TopicName, records: &mut Bytes, topics: &Mutex<Topics>) -> i64 {
    let mut topics = topics.lock().unwrap();
    let held = topics.entry(topic.0.to_string()).or_default();
    let offset = held.len();
    for batch in RecordBatchDecoder::decode_all(records).unwrap() {
        held.extend(batch.records.into_iter().map(|record| {
            Message {
                key: record
                    .key
                    .map(|key| String::from_utf8(key.to_vec()).unwrap()),
                value: serde_json::from_slice(&record.value.unwrap()).unwrap(),
                compression: batch.compression,
                numbered: record.producer_id == 7 && record.sequence >= 0,
            }
        }));
    }
    offset.try_into().unwrap()
}
