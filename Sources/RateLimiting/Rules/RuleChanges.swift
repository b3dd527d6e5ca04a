import Bytes
import EventLoops
import JSON
import Services

/// What the routes and rule files do to the rules, decided against one state of them.
enum RuleChanges {
    /// Adds a rule. A name that is taken is a conflict; without a name the id serves.
    /// - Parameter fresh: rules that the same step adds, by id.
    static func create(
        _ draft: RuleDraft, in rules: RuleSet, beside fresh: Set<String> = []
    ) throws(Problem) -> Rule {
        guard rules.rules.count + fresh.count < RuleStore.mostRules else {
            throw Problem(.conflict, "there are \(RuleStore.mostRules) rules already, which is the most there can be")
        }
        if let name = draft.name, rules.rule(named: name) != nil {
            throw Problem(.conflict, "there is a rule named \(name) already", field: "name")
        }
        let id = freshID(draft, rules, fresh)
        let generation = rules.revision + 1
        // The older of two rules that match alike decides, so a rule is younger than all there are, whatever clock a new
        // master brings with it. Times are kept in milliseconds.
        let createdAtUs = max(rules.readAtUs, (rules.rules.last?.createdAtUs ?? 0) + 1000)
        return Rule(
            draft, id: id, name: draft.name ?? id, version: 1, generation: generation, createdAtUs: createdAtUs,
            nowUs: rules.readAtUs)
    }

    /// Replaces a rule whole; its counters go on unless the change makes them meaningless.
    static func replace(_ old: Rule, with draft: RuleDraft, in rules: RuleSet) throws(Problem) -> Rule {
        let name = draft.name ?? old.name
        if let other = rules.rule(named: name), other.id != old.id {
            throw Problem(.conflict, "there is a rule named \(name) already", field: "name")
        }
        var new = Rule(
            draft, id: old.id, name: name, version: old.version + 1, generation: old.generation,
            createdAtUs: old.createdAtUs, nowUs: rules.readAtUs)
        if !new.continues(old) { new.generation = rules.revision + 1 }
        return new
    }

    /// Brings the rules to what a file says, by name; with `prunes` rules that the file does not name are deleted.
    static func apply(
        _ drafts: [RuleDraft], to rules: RuleSet, prunes: Bool
    ) throws(Problem) -> [RuleStore.Change] {
        var changes: [RuleStore.Change] = []
        var named = Set<String>()
        var fresh = Set<String>()
        // Rules made in one step are ordered by creation time, so that their order in the file is kept.
        for (i, draft) in drafts.enumerated() {
            let name = try draft.name.required("rules[\(i)].name")
            guard named.insert(name).inserted else { throw .field("rules[\(i)].name", "stands twice: \(name)") }
            if let old = rules.rule(named: name) {
                let new = try replace(old, with: draft, in: rules)
                if !new.isSame(as: old) { changes.append(.put(new)) }
            } else {
                var new = try create(draft, in: rules, beside: fresh)
                fresh.insert(new.id)
                new.createdAtUs += Int64(i) * 1000
                changes.append(.put(new))
            }
        }
        if prunes {
            for rule in rules.rules where !named.contains(rule.name) { changes.append(.delete(id: rule.id)) }
        }
        return changes
    }

    /// The same as a plan that says how many rules it changes, made on a thread of the pool: files are long.
    static func applyOffLoop(
        _ drafts: [RuleDraft], to rules: RuleSet, prunes: Bool
    ) async throws -> RuleStore.Plan<Int> {
        try await BlockingPool.computing.run {
            Result {
                let changes = try apply(drafts, to: rules, prunes: prunes)
                return RuleStore.Plan(changes, changes.count)
            }
        }.get()
    }

    /// Reads `{"rules": […]}` or a bare array.
    static func drafts(_ value: JSONValue) throws(Problem) -> [RuleDraft] {
        var elements: [JSONValue]
        if case .array(let all) = value {
            elements = all
        } else {
            var fields = try Fields(value)
            elements = try fields.array("rules", maxCount: RuleStore.mostRules).required("rules")
            try fields.finish()
        }
        var drafts: [RuleDraft] = []
        for (i, element) in elements.enumerated() { drafts.append(try RuleDraft(element, field: "rules[\(i)]")) }
        return drafts
    }

    /// An id that reads like the name: lower case, other characters as hyphens; numbered when it is taken.
    private static func freshID(_ draft: RuleDraft, _ rules: RuleSet, _ fresh: Set<String>) -> String {
        var base = ""
        for character in (draft.name ?? draft.strategyName).lowercased().utf8 {
            let isPlain = (0x61...0x7A).contains(character) || (0x30...0x39).contains(character)
            if isPlain {
                base.unicodeScalars.append(Unicode.Scalar(character))
            } else if base.last != "-" {
                base += "-"
            }
        }
        while base.hasPrefix("-") { base.removeFirst() }
        while base.hasSuffix("-") { base.removeLast() }
        if base.isEmpty { base = "rule" }
        base = String(base.prefix(64))
        let isTaken = { (id: String) in
            rules.rule(id: id) != nil || fresh.contains(id) || RuleEndpoints.otherRoutes.contains(id)
        }
        if !isTaken(base), draft.name != nil || rules.rule(named: base) == nil { return base }
        // The numbers are tried in steps that double, and the last step is halved: rules whose names say nothing in plain
        // letters may be thousands.
        let isFree = { (number: Int) in
            !isTaken("\(base)-\(number)") && rules.rule(named: "\(base)-\(number)") == nil
        }
        var (taken, free) = (1, 2)
        while !isFree(free) { (taken, free) = (free, free * 2) }
        while free - taken > 1 {
            let middle = taken + (free - taken) / 2
            if isFree(middle) { free = middle } else { taken = middle }
        }
        return "\(base)-\(free)"
    }
}

extension RuleDraft {
    fileprivate var strategyName: String {
        if case .limit(let strategy) = effect { strategy.name.rawValue } else { "rule" }
    }
}

extension Rule {
    /// Whether the rules say the same, whatever their versions and times.
    func isSame(as other: Rule) -> Bool {
        var copy = self
        copy.version = other.version
        copy.updatedAtUs = other.updatedAtUs
        return copy == other
    }
}
