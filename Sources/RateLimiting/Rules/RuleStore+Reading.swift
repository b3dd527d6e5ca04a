import Bytes
import Digests
import EventLoops
import JSON
import Redis
import Services

/// Reading the rules. A loop only fetches texts, in replies of bounded size; rules are read from them and compiled on a
/// thread of the blocking pool, and only those whose text has changed.
extension RuleStore {
    /// All rules as they are now.
    func read(budgetUs: Int64 = 1_000_000) async throws -> RuleSet {
        do { return try await readUnlessLost(budgetUs: budgetUs) } catch is RulesLost {
            context.process.broadcasts.send(.max, to: RuleFeed.requests)
            throw Problem(.unavailable, "redis has lost the rules; they are being written back", retryAfterS: 1)
        }
    }

    /// The same for who knows what to do about a loss: throws `RulesLost`.
    /// - Parameter takesLoss: what is there holds, whatever was known before.
    func readUnlessLost(budgetUs: Int64 = 1_000_000, takesLoss: Bool = false) async throws -> RuleSet {
        let base = library.rules
        let untilUs = context.loop.nowUs + max(budgetUs, RuleStore.patienceUs)
        var texts = RuleTexts()
        if !takesLoss, let base { texts = RuleTexts(since: base) }
        while true {
            let news = try await news(since: texts, budgetUs: budgetUs)
            if !takesLoss, let base, texts.isSince(base), news.isLoss(after: base) {
                throw RulesLost(known: base.revision, found: news.count)
            }
            texts.reach(news)
            if let ids = news.ids {
                texts.texts = try await pages(ids, budgetUs: budgetUs)
            } else if news.revision == news.newest {
                if texts.isWhole || texts.count(after: base) == news.count { break }
                // Somebody has written rules by hand, and no revision.
                texts = RuleTexts()
            }
            guard context.loop.nowUs < untilUs else {
                throw Problem(.unavailable, "the rules are being changed faster than they can be read", retryAfterS: 1)
            }
        }
        if let base, texts.isSince(base), base.tokenRules == library.tokenRules {
            base.seen(atUs: texts.nowUs)
            return base
        }
        return library.offer(await compile(texts, base), after: base, evenOlder: takesLoss)
    }

    /// Compiles the rules with the present rates of tokens.
    func compileAgain() async {
        guard let base = library.rules, base.tokenRules != library.tokenRules else { return }
        _ = library.offer(await compile(RuleTexts(since: base), base), after: base)
    }

    private func compile(_ texts: RuleTexts, _ base: RuleSet?) async -> RuleSet {
        let tokenRules = library.tokenRules
        let (rules, unreadable) = await BlockingPool.computing.run {
            texts.compiled(after: base, tokenRules: tokenRules)
        }
        for rule in unreadable {
            // A rule that a newer version wrote, or a hand: the others still bind.
            context.log.error(
                "a stored rule cannot be read", ["rule": .string(rule.id), "error": .string(rule.error)])
        }
        return rules
    }

    private func news(since texts: RuleTexts, budgetUs: Int64) async throws -> RuleNews {
        let known = texts.revision.map { [String($0), texts.lastChange] } ?? ["", ""]
        let reply = try await context.redis.run(
            RateLimitScripts.rulesRead, keys: [keys.rules, keys.revision, keys.changes], arguments: known,
            budgetUs: budgetUs)
        guard let news = RuleNews(reply) else { throw RedisError.unexpectedReply("rules_read") }
        return news
    }

    private func pages(_ ids: [String], budgetUs: Int64) async throws -> [String: [UInt8]] {
        var texts: [String: [UInt8]] = [:]
        texts.reserveCapacity(ids.count)
        var rest = ids[...]
        while !rest.isEmpty {
            let reply = try await context.redis.run(
                RateLimitScripts.rulesPage, keys: [keys.rules], arguments: Array(rest.prefix(500)), budgetUs: budgetUs)
            guard case .array(let page) = reply, !page.isEmpty, page.count <= rest.count else {
                throw RedisError.unexpectedReply("rules_page")
            }
            for (id, text) in zip(rest, page) { texts[id] = text.bytes ?? [] }
            rest = rest.dropFirst(page.count)
        }
        return texts
    }
}

/// What `rules_read` says.
private struct RuleNews {
    /// What the reply reaches to.
    let revision: Int
    let lastChange: String
    let nowUs: Int64
    let newest: Int
    /// How many rules there are.
    let count: Int
    /// The changes, in order; an empty text stands for a rule that was deleted.
    var changes: [(id: String, text: [UInt8])] = []
    /// In place of changes: which rules there are.
    var ids: [String]?

    init?(_ reply: RedisReply) {
        guard case .array(let parts) = reply, parts.count >= 6, let revision = parts[0].int,
            let lastChange = parts[1].string, let nowUs = parts[2].int, let newest = parts[3].int,
            let count = parts[4].int, let word = parts[5].string
        else { return nil }
        (self.revision, self.lastChange, self.nowUs, self.newest, self.count) =
            (revision, lastChange, Int64(nowUs), newest, count)
        if word == "ids" {
            ids = parts.dropFirst(6).map { $0.string ?? "" }
        } else {
            for i in stride(from: 6, to: parts.count - 1, by: 2) {
                changes.append((parts[i].string ?? "", parts[i + 1].bytes ?? []))
            }
        }
    }

    /// Whether what was known is gone and no change says so: an older revision, the same one with another entry or with
    /// fewer rules.
    func isLoss(after base: RuleSet) -> Bool {
        if newest < base.revision { return true }
        guard newest == base.revision, newest > 0 else { return false }
        return ids != nil || count < base.stored.count
    }
}

/// Texts of rules as they were fetched, and what they reach to.
private struct RuleTexts: Sendable {
    /// By id; empty for a rule that is gone.
    var texts: [String: [UInt8]] = [:]
    /// Whether these are all rules; else they are what changed since a snapshot.
    private(set) var isWhole = true
    private(set) var revision: Int?
    private(set) var lastChange = ""
    private(set) var nowUs: Int64 = 0

    init() {}

    init(since rules: RuleSet) {
        isWhole = false
        (revision, lastChange, nowUs) = (rules.revision, rules.lastChange, rules.readAtUs)
    }

    /// Whether nothing was fetched since a snapshot.
    func isSince(_ rules: RuleSet) -> Bool {
        !isWhole && texts.isEmpty && revision == rules.revision && lastChange == rules.lastChange
    }

    /// Takes what changed; the rules named instead are still to be fetched.
    mutating func reach(_ news: RuleNews) {
        (revision, lastChange, nowUs) = (news.revision, news.lastChange, news.nowUs)
        if news.ids != nil { isWhole = true }
        for change in news.changes { texts[change.id] = change.text }
    }

    /// How many rules there are with the changes made.
    func count(after base: RuleSet?) -> Int {
        let known = base?.stored ?? [:]
        return texts.reduce(known.count) { count, change in
            count + (change.value.isEmpty ? 0 : 1) - (known[change.key] == nil ? 0 : 1)
        }
    }

    private static let keyed = KeyedHash()

    /// The rules as a snapshot, and what of them could not be read.
    func compiled(
        after base: RuleSet?, tokenRules: [Rule]
    ) -> (rules: RuleSet, unreadable: [(id: String, error: String)]) {
        var stored = isWhole ? [:] : base?.stored ?? [:]
        var same: Set<String> = []
        var rules: [Rule] = []
        var unreadable: [(id: String, error: String)] = []
        for (id, text) in texts {
            if text.isEmpty {
                stored[id] = nil
                continue
            }
            let form = StoredRule(bytes: text.count, digest: text.withByteView { RuleTexts.keyed.hash($0) })
            stored[id] = form
            if base?.stored[id] == form {
                same.insert(id)
                continue
            }
            do {
                let rule = try Rule(stored: text.withByteView { try JSONValue(parsing: $0) })
                guard rule.id == id else { throw Problem(.internalError, "it calls itself \(rule.id)") }
                rules.append(rule)
            } catch {
                unreadable.append((id, "\(error)"))
            }
        }
        for rule in base?.rules ?? [] where same.contains(rule.id) || !isWhole && texts[rule.id] == nil {
            rules.append(rule)
        }
        let made = RuleSet(
            revision: revision ?? 0, lastChange: lastChange, readAtUs: nowUs,
            storedBytes: stored.values.reduce(0) { $0 + $1.bytes }, rules: rules, tokenRules: tokenRules,
            stored: stored, after: base)
        return (made, unreadable)
    }
}
