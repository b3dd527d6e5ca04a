import Bytes
import Services

/// A text that differs from decision to decision in a few numbers only: what stays is written once and copied.
///
/// Most decisions fall under a single rule, and writing them member by member took half of a check's instructions. The
/// template is cut out of what the ordinary writer makes of marked numbers, and is used only if it gives the same as the
/// writer for other numbers, so there is one truth about the text.
final class DecisionTemplate {
    private enum Slot: CaseIterable {
        case remaining, retryMs, retryS, resetMs, resetS, resetTime, resetAtS

        /// Bytes that the longest takes: a time, or a number with its sign.
        static let longest = 24
    }

    /// A stretch of the text that stays, and what follows it. Plain values, so that writing touches no reference count.
    private struct Piece {
        let count: Int
        let slot: Slot?
    }

    private let text: [UInt8]
    private let pieces: [Piece]
    /// Room for the text and whatever its slots may take.
    private let most: Int

    /// - Parameter write: the ordinary writer. nil when no template can stand for it.
    init?(verdict: Outcome.Verdict, _ policies: PolicySet, write: (Decision, ByteBuffer) -> Void) {
        let marked = DecisionTemplate.sample(
            verdict, policies, remaining: 7_710_000_000_001, retryMs: 7_720_000_000_001, resetMs: 7_730_000_000_001,
            nowUs: 1_000_000_000_000_000)
        let cut = DecisionTemplate.cut(DecisionTemplate.text(marked, write), DecisionTemplate.values(marked))
        text = cut.flatMap(\.text)
        pieces = cut.map { Piece(count: $0.text.count, slot: $0.slot) }
        most = text.count + pieces.count * Slot.longest
        let other = DecisionTemplate.sample(
            verdict, policies, remaining: 4, retryMs: 1501, resetMs: 90_061_001, nowUs: 1_763_850_000_123_456)
        let buffer = ByteBuffer()
        self.write(other, to: buffer)
        if buffer.view.array != DecisionTemplate.text(other, write) { return nil }
    }

    /// Appends the text for `decision`, whose shape is the template's.
    func write(_ decision: Decision, to buffer: ByteBuffer) {
        let outcome = decision.first
        let resetAtUs = decision.nowUs.map { $0 + outcome.resetUs } ?? 0
        let start = buffer.reserve(most)
        var target = start
        text.withUnsafeBufferPointer { text in
            guard var source = text.baseAddress else { return }
            pieces.withUnsafeBufferPointer { pieces in
                for piece in pieces {
                    target.update(from: source, count: piece.count)
                    source += piece.count
                    target += piece.count
                    switch piece.slot {
                    case nil: break
                    case .remaining: target += Decimal.write(outcome.remaining, to: target)
                    case .retryMs: target += Decimal.write(outcome.retryUs.dividedRoundingUp(by: 1000), to: target)
                    case .retryS: target += Decimal.write(outcome.retryUs.dividedRoundingUp(by: 1_000_000), to: target)
                    case .resetMs: target += Decimal.write(outcome.resetUs.dividedRoundingUp(by: 1000), to: target)
                    case .resetS: target += Decimal.write(outcome.resetUs.dividedRoundingUp(by: 1_000_000), to: target)
                    case .resetTime: target += Timestamp(us: Int64(resetAtUs)).writeRFC3339(to: target)
                    case .resetAtS: target += Decimal.write(resetAtUs.dividedRoundingUp(by: 1_000_000), to: target)
                    }
                }
            }
        }
        buffer.didAppend(target - start)
    }

    // MARK: Making

    private static func sample(
        _ verdict: Outcome.Verdict, _ policies: PolicySet, remaining: Int, retryMs: Int, resetMs: Int, nowUs: Int
    ) -> Decision {
        let isAllowed = verdict == .allowed
        return Decision(
            isAllowed: isAllowed, reason: isAllowed ? .allowed : .limitExceeded, nowUs: nowUs, policies: policies,
            first: Outcome(
                verdict: verdict, remaining: remaining, resetUs: resetMs * 1000, retryUs: isAllowed ? 0 : retryMs * 1000
            ),
            hasOutcomes: true)
    }

    /// How each slot reads for a decision.
    private static func values(_ decision: Decision) -> [(slot: Slot, text: [UInt8])] {
        let outcome = decision.first
        let resetAtUs = decision.resetAtUs(0) ?? 0
        return Slot.allCases.map { slot in
            let text =
                switch slot {
                case .remaining: String(outcome.remaining)
                case .retryMs: String(outcome.retryUs.dividedRoundingUp(by: 1000))
                case .retryS: String(outcome.retryUs.dividedRoundingUp(by: 1_000_000))
                case .resetMs: String(outcome.resetUs.dividedRoundingUp(by: 1000))
                case .resetS: String(outcome.resetUs.dividedRoundingUp(by: 1_000_000))
                case .resetTime: Timestamp(us: Int64(resetAtUs)).rfc3339
                case .resetAtS: String(resetAtUs.dividedRoundingUp(by: 1_000_000))
                }
            return (slot, [UInt8](text.utf8))
        }
    }

    private static func text(_ decision: Decision, _ write: (Decision, ByteBuffer) -> Void) -> [UInt8] {
        let buffer = ByteBuffer()
        write(decision, buffer)
        return buffer.view.array
    }

    /// Cuts `text` at every value; one that stands at the same place as a longer one gives way to it.
    private static func cut(_ text: [UInt8], _ values: [(slot: Slot, text: [UInt8])]) -> [(text: [UInt8], slot: Slot?)]
    {
        let values = values.filter { $0.text != [UInt8(ascii: "0")] }.sorted { $0.text.count > $1.text.count }
        var pieces: [(text: [UInt8], slot: Slot?)] = []
        var literal: [UInt8] = []
        var i = 0
        while i < text.count {
            if let value = values.first(where: { text[i...].starts(with: $0.text) }) {
                pieces.append((literal, value.slot))
                literal = []
                i += value.text.count
            } else {
                literal.append(text[i])
                i += 1
            }
        }
        pieces.append((literal, nil))
        return pieces
    }
}

/// The templates of a single enforcing rule's decisions.
final class DecisionTemplates {
    /// The decision alone, as in a bulk answer, and with the problem's members.
    let allowed, refused, refusedWithProblem: DecisionTemplate?
    let allowedHeaders, refusedHeaders: DecisionTemplate?

    init(_ policies: PolicySet) {
        allowed = DecisionTemplate(verdict: .allowed, policies) { DecisionJSON.writeWhole($0, to: $1) }
        refused = DecisionTemplate(verdict: .refused, policies) { DecisionJSON.writeWhole($0, to: $1) }
        refusedWithProblem = DecisionTemplate(verdict: .refused, policies) {
            DecisionJSON.writeWhole($0, withProblem: true, to: $1)
        }
        // The draft's field holds less than a limit may be, so such a number is not always the same in all fields.
        let isBounded = policies.rules.allSatisfy { ($0.strategy?.capacity ?? 0) <= DecisionHeaders.largestInteger }
        func headers(_ verdict: Outcome.Verdict) -> DecisionTemplate? {
            isBounded ? DecisionTemplate(verdict: verdict, policies) { DecisionHeaders.writeWhole($0, to: $1) } : nil
        }
        allowedHeaders = headers(.allowed)
        refusedHeaders = headers(.refused)
    }
}

extension Decision {
    /// The templates that may stand for this decision: one enforcing rule was asked, and nothing is out of the ordinary.
    var templates: DecisionTemplates? {
        guard let policies, hasOutcomes, nowUs != nil, isPlain, policies.isSingle,
            policies.enforcingCount == 1,
            isAllowed ? first.verdict == .allowed : first.verdict == .refused
        else { return nil }
        return policies.templates
    }
}
