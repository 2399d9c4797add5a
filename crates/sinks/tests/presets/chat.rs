//! Messages for people.

use super::*;

#[tokio::test]
async fn telegram_gets_what_sendmessage_demands() {
    for record in [login(1, "root", "hunter2"), login(1, &hostile(), hostile()), news(&OPENED, &hostile())] {
        let request = sent("telegram", record).await;
        assert_eq!(request.line, "POST /bot123:s3cr3t/sendMessage HTTP/1.1");
        let body = json_of(&request);
        assert_eq!((&body["chat_id"], &body["parse_mode"]), (&json!("-1001234"), &json!("HTML")));
        assert!((1..=4096).contains(&units(&body["text"])));
        assert_eq!(body["link_preview_options"]["is_disabled"], true);
        // HTML style: only the elements that are ours, each closed on its line; & only in entities.
        for line in body["text"].as_str().unwrap().lines() {
            let ours =
                line.replace("<b>", "").replace("</b>", "").replace("<code>", "").replace("</code>", "");
            assert!(!ours.contains(['<', '>']), "{line}");
            assert_eq!(line.matches("<b>").count(), line.matches("</b>").count(), "{line}");
            assert_eq!(line.matches("<code>").count(), line.matches("</code>").count(), "{line}");
            let entities = ["&amp;", "&lt;", "&gt;", "&quot;"];
            let known: usize = entities.iter().map(|entity| line.matches(entity).count()).sum();
            assert_eq!(line.matches('&').count(), known, "{line}");
        }
    }
}

#[tokio::test]
async fn discord_gets_an_embed_within_its_limits_that_mentions_nobody() {
    for record in [login(1, "root", "hunter2"), login(1, &hostile(), hostile()), news(&UPDATED, &hostile())] {
        let request = sent("discord", record).await;
        assert!(request.line.ends_with("?wait=true HTTP/1.1"), "{}", request.line);
        let body = json_of(&request);
        assert_eq!(body["allowed_mentions"], json!({ "parse": [] }));
        assert_eq!(body["embeds"].as_array().unwrap().len(), 1);
        let embed = &body["embeds"][0];
        let sizes = [
            (units(&embed["title"]), 256),
            (units(&embed["description"]), 4096),
            (units(&embed["footer"]["text"]), 2048),
        ];
        assert!(sizes.iter().all(|(size, most)| (1..=*most).contains(size)), "{sizes:?}");
        assert!(sizes.iter().map(|(size, _)| size).sum::<usize>() <= 6000, "{sizes:?}");
        assert!(embed["color"].as_u64().unwrap() <= 0xff_ffff);
        assert!(embed["timestamp"].as_str().unwrap().starts_with("2026-11-"));
    }
}

#[tokio::test]
async fn slack_gets_blocks_within_their_limits_and_no_control_sequence() {
    for record in [login(1, "root", "hunter2"), login(1, &hostile(), hostile()), news(&CLOSED, &hostile())] {
        let body = json_of(&sent("slack", record).await);
        assert!(units(&body["text"]) > 0);
        let blocks = &body["attachments"][0]["blocks"];
        assert_eq!(blocks[0]["text"]["type"], "plain_text");
        assert!((1..=150).contains(&units(&blocks[0]["text"]["text"])));
        assert_eq!(blocks[1]["text"]["type"], "mrkdwn");
        assert!((1..=3000).contains(&units(&blocks[1]["text"]["text"])));
        for text in [&body["text"], &blocks[1]["text"]["text"]] {
            assert!(!text.as_str().unwrap().contains(['<', '>']), "{text}");
        }
    }
}

#[tokio::test]
async fn mattermost_gets_an_attachment_that_mentions_nobody() {
    for record in [login(1, "root", "hunter2"), login(1, &hostile(), hostile()), news(&OPENED, &hostile())] {
        let body = json_of(&sent("mattermost", record).await);
        let attachment = &body["attachments"][0];
        assert!(
            ["fallback", "title", "text"].iter().all(|part| units(&attachment[part]) > 0),
            "{attachment}"
        );
        assert!(attachment.to_string().len() < 16_383);
        assert!(body.get("channel").is_none());
    }
}

#[tokio::test]
async fn teams_gets_an_adaptive_card_of_less_than_28_kilobytes() {
    for record in [login(1, "root", "hunter2"), login(1, &hostile(), hostile()), news(&UPDATED, &hostile())] {
        let request = sent("teams", record).await;
        assert!(request.body.len() < 28 * 1024, "{}", request.body.len());
        let body = json_of(&request);
        assert_eq!(body["type"], "message");
        let attachment = &body["attachments"][0];
        assert_eq!(attachment["contentType"], "application/vnd.microsoft.card.adaptive");
        let card = &attachment["content"];
        assert_eq!((&card["type"], &card["version"]), (&json!("AdaptiveCard"), &json!("1.4")));
        assert_eq!(card["body"][1]["type"], "FactSet");
        let facts = card["body"][1]["facts"].as_array().unwrap();
        assert!(
            !facts.is_empty()
                && facts.iter().all(|fact| units(&fact["title"]) > 0 && units(&fact["value"]) > 0)
        );
    }
}

#[tokio::test]
async fn google_chat_gets_text_in_the_thread_of_its_incident() {
    let receiver = Receiver::new(|_, _| taken("googlechat"));
    let keys = json!({ "url": format!("{}/v1/spaces/x/messages?key=a&token=b", receiver.url()) });
    sink("googlechat", keys).once(&[news(&OPENED, &hostile()), news(&CLOSED, "root")]).await.unwrap();
    assert_eq!(receiver.count(), 2);
    for number in 0..2 {
        let request = receiver.request(number);
        let path =
            "/v1/spaces/x/messages?key=a&token=b&messageReplyOption=REPLY_MESSAGE_FALLBACK_TO_NEW_THREAD";
        assert_eq!(request.line, format!("POST {path} HTTP/1.1"));
        let body = json_of(&request);
        assert!((1..=4096).contains(&units(&body["text"])));
        assert_eq!(body["thread"]["threadKey"], "haldane-canary-1-17");
    }
}

#[tokio::test]
async fn ntfy_gets_json_at_its_root_of_no_more_than_4096_bytes() {
    for (record, priority) in [(login(1, "root", "hunter2"), 4), (news(&OPENED, &hostile()), 4)] {
        let request = sent("ntfy", record).await;
        assert_eq!(request.line, "POST / HTTP/1.1");
        assert_eq!(request.header("authorization"), Some("Bearer tk_s3cr3t"));
        let body = json_of(&request);
        assert_eq!((&body["topic"], &body["priority"]), (&json!("alerts"), &json!(priority)));
        assert!(body["message"].as_str().unwrap().len() <= 4096);
        assert_eq!(body["tags"], json!(["rotating_light"]));
    }
    let receiver = Receiver::new(|_, _| taken("ntfy"));
    let keys = json!({ "topic": "a", "url": format!("http://me:pass@127.0.0.1:{}", receiver.port) });
    sink("ntfy", keys).once(&[login(1, "a", "b")]).await.unwrap();
    assert_eq!(receiver.request(0).header("authorization"), Some("Basic bWU6cGFzcw=="));
}

#[tokio::test]
async fn pushover_gets_a_form_and_rings_only_if_told_to() {
    let fields = |request: &Request| -> std::collections::BTreeMap<String, String> {
        let pairs = request.body.split('&').map(|pair| pair.split_once('=').unwrap());
        pairs.map(|(name, value)| (name.to_owned(), plain(value))).collect()
    };
    for record in [login(1, "root", "hunter2"), login(1, &hostile(), hostile()), news(&OPENED, &hostile())] {
        let request = sent("pushover", record).await;
        assert_eq!(request.line, "POST /1/messages.json HTTP/1.1");
        assert_eq!(request.header("content-type"), Some("application/x-www-form-urlencoded"));
        let form = fields(&request);
        assert!((1..=1024).contains(&form["message"].chars().count()));
        assert!((1..=250).contains(&form["title"].chars().count()));
        assert_eq!((form["token"].as_str(), form["user"].as_str()), ("s3cr3t", "s3cr3t-user"));
        assert_eq!(form["priority"], "1");
        assert!(!form.contains_key("retry") && !form.contains_key("device"));
    }
    let receiver = Receiver::new(|_, _| taken("pushover"));
    let mut record = login(1, "root", "honey");
    Arc::make_mut(&mut record.event).severity = Severity::Critical;
    let mut keys = keys("pushover", &receiver.url());
    keys["emergency"] = json!(true);
    sink("pushover", keys).once(&[record]).await.unwrap();
    let form = fields(&receiver.request(0));
    assert_eq!(
        (form["priority"].as_str(), form["retry"].as_str(), form["expire"].as_str()),
        ("2", "60", "3600")
    );
}
