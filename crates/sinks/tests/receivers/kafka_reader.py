"""Prints what arrives at a topic of Kafka, as JSON, read by librdkafka, which checks the checksums.

With "mock" for the broker's address, it is librdkafka's own mock cluster of three brokers, whose addresses are
printed first."""

import json
import sys

from confluent_kafka import OFFSET_BEGINNING, Consumer, Producer, TopicPartition


def main(bootstrap, topic, *settings):
    if bootstrap == "mock":
        mock = Producer({"bootstrap.servers": "mock", "test.mock.num.brokers": 3})
        brokers = mock.list_topics(topic, timeout=10).brokers.values()
        bootstrap = ",".join(f"{broker.host}:{broker.port}" for broker in brokers)
        print(bootstrap, flush=True)
    consumer = Consumer(
        {
            "bootstrap.servers": bootstrap,
            "group.id": "reader",
            "check.crcs": True,
            "enable.auto.commit": False,
            **dict(setting.split("=", 1) for setting in settings),
        }
    )
    partitions = consumer.list_topics(topic, timeout=10).topics[topic].partitions
    consumer.assign([TopicPartition(topic, partition, OFFSET_BEGINNING) for partition in partitions])
    while True:
        message = consumer.poll(1)
        if message is None:
            continue
        if message.error():
            print(message.error(), file=sys.stderr, flush=True)
            continue
        line = {
            "partition": message.partition(),
            "key": message.key().decode(),
            "value": message.value().decode(),
            "at": message.timestamp()[1],
        }
        print(json.dumps(line), flush=True)


main(*sys.argv[1:])
