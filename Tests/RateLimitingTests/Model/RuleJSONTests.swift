import Bytes
import JSON
import Services
import Testing

@testable import RateLimiting

struct RuleJSONTests {
    private static let rules = [
        #""strategy":"token_bucket","limit":5,"window":"1s""#,
        #""strategy":"token_bucket","limit":5,"window":"1s","burst":10,"initial":0,"enabled":false,"mode":"shadow""#,
        #""strategy":"sliding_window","limit":5,"window":"1m","group":"g","onStoreFailure":"deny""#,
        #""strategy":"sliding_window_counter","limit":5,"window":"1m","burst":9,"onStoreFailure":"local""#,
        #""strategy":"fixed_window","limit":5,"window":"1m","per":["ip","endpoint","method","tier"]"#,
        #""strategy":"quota","limit":5,"period":"month","timeZone":"Europe/Berlin","per":["global"]"#,
        #""strategy":"concurrency","limit":5,"maxLeaseMs":30000,"match":{"identifier":["key:abc","10.0.0.0/8"]}"#,
        #""action":"deny","match":{"identifier":"user:42"}"#,
        #""action":"allow","match":{"endpoint":"/a/{x}/*","method":"GET","tier":"gold"}"#,
        #""unlimited":true,"group":"g""#,
    ]

    @Test(arguments: rules)
    func storedRulesReadBackTheSame(_ members: String) throws {
        var rule = try Samples.rule("naïve \\\"name\\\"", members, generation: 7)
        rule.version = 3
        rule.updatedAtUs = 1_700_000_000_123_000
        #expect(try Rule(stored: rule.stored) == rule)
        // Through text, as Redis has it.
        let text = rule.stored.text()
        let parsed = try text.withByteView { try JSONValue(parsing: $0) }
        #expect(try Rule(stored: parsed) == rule)
        #expect(parsed.text() == text)
    }

    @Test(arguments: rules)
    func whatClientsSeeCanBeSentBack(_ members: String) throws {
        let rule = try Samples.rule("rule", members)
        let draft = try RuleDraft(rule.json)
        let again = Rule(
            draft, id: rule.id, name: rule.name, version: 1, generation: 1, createdAtUs: 1_000_000, nowUs: 1_000_000)
        #expect(again == rule)
    }

    @Test func apiKeysAreStoredAsDigestsOnly() throws {
        let rule = try Samples.rule("r", #""match":{"identifier":["key:s3cret","user:key:x"]}"#)
        #expect(!rule.stored.text().contains("s3cret"))
        #expect(rule.match.identifiers?[0].hasPrefix("key:sha256~") == true)
        #expect(rule.match.identifiers?[0].utf8.count == 4 + 7 + 32)
        #expect(rule.match.identifiers?[1] == "user:key:x")
    }

    @Test(arguments: ["{}", "[]", #"{"id":"x","version":1}"#, #"{"id":1,"version":1,"generation":1}"#])
    func whatIsNoStoredRuleIsRefused(_ json: String) throws {
        let value = try json.withByteView { try JSONValue(parsing: $0) }
        #expect(throws: Problem.self) { try Rule(stored: value) }
    }
}

struct RuleChangesTests {
    @Test func newRulesOfOneFileGetIdsOfTheirOwn() throws {
        let names = ["Api", "api", "API!", "other"]
        let drafts = try names.map { try Samples.draft(#"{"name":"\#($0)","action":"deny"}"#) }
        let changes = try RuleChanges.apply(drafts, to: .empty, prunes: false)
        let ids = changes.compactMap { if case .put(let rule) = $0 { rule.id } else { nil } }
        #expect(ids == ["api", "api-2", "api-3", "other"])
    }

    @Test func aFileBringsAboutWhatDiffersAndNothingElse() throws {
        let rules = Samples.set([try Samples.rule("a"), try Samples.rule("b"), try Samples.rule("c")])
        let same = #"{"name":"a","strategy":"token_bucket","limit":10,"window":"1s"}"#
        let changed = #"{"name":"b","strategy":"token_bucket","limit":11,"window":"1s"}"#
        let drafts = try [same, changed].map { try Samples.draft($0) }
        let kept = try RuleChanges.apply(drafts, to: rules, prunes: false)
        #expect(kept.count == 1)
        guard case .put(let b) = kept[0] else {
            Issue.record("b is not put")
            return
        }
        #expect(b.id == "b" && b.version == 2 && b.generation == 1, "a limit may change and counting goes on")
        let pruned = try RuleChanges.apply(drafts, to: rules, prunes: true)
        #expect(pruned.count == 2)
        if case .delete(let id) = pruned[1] { #expect(id == "c") } else { Issue.record("c is not deleted") }
    }

    @Test(arguments: [
        (#""strategy":"token_bucket","limit":99,"window":"1s","burst":5"#, true),
        (#""strategy":"token_bucket","limit":10,"window":"2s""#, false),
        (#""strategy":"fixed_window","limit":10,"window":"1s""#, false),
        (#""per":["ip"]"#, false), (#""action":"deny""#, false), (#""mode":"shadow""#, true),
        (#""match":{"tier":"x"}"#, true),
    ])
    func countingBeginsAnewOnlyWhereCountersMeanSomethingElse(_ members: String, _ goesOn: Bool) throws {
        let old = try Samples.rule("r")
        let draft = try RuleDraft(try Samples.rule("r", members).json)
        let new = try RuleChanges.replace(old, with: draft, in: Samples.set([old]))
        #expect(new.generation == (goesOn ? 1 : 2))
        #expect(new.version == 2)
    }

    @Test func namesAreTakenOnce() throws {
        let rules = Samples.set([try Samples.rule("a"), try Samples.rule("b")])
        let problem = #expect(throws: Problem.self) {
            try RuleChanges.create(try Samples.draft(#"{"name":"a","action":"deny"}"#), in: rules)
        }
        #expect(problem?.kind == .conflict && problem?.field == "name")
        let twice = try [#"{"name":"x","action":"deny"}"#, #"{"name":"x","action":"allow"}"#].map(Samples.draft)
        #expect(throws: Problem.self) { try RuleChanges.apply(twice, to: rules, prunes: false) }
        #expect(throws: Problem.self) {
            try RuleChanges.replace(
                rules.rule(id: "a")!, with: try Samples.draft(#"{"name":"b","action":"deny"}"#), in: rules)
        }
    }
}
