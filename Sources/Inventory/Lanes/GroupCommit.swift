import Bytes

/// Many steps judged one after the other against SKUs as a transaction has read them, and the transaction that makes all of
/// them true at once. Steps that are too rare for it are left to the scripts, which judge in the same way.
final class GroupCommit {
    enum Verdict {
        /// It changes nothing.
        case answer(StockAnswer)
        /// True once the transaction is done.
        case onceDone(StockAnswer)
        /// For a script: an alert may be due, a hold has lapsed, somebody waits for stock, and the like.
        case leave
    }

    /// A SKU and what the steps do to it.
    struct Subject {
        let sku: SKU
        var state: StockState
        let firstNextExpiryMs: Int?
        var isChanged = false
        var added: [(suffix: String, expiresMs: Int)] = []
        var ended: [String] = []
    }

    /// MULTI, the changes, EXEC.
    let commands = CommitCommands()
    /// What is written before it: indexes, which may name too much but never too little.
    let ahead = CommitCommands()
    /// When the first of what it announces is due (ms).
    var announcedMs = Int.max
    var nowMs = 0
    /// A given time for ledger entries; nil for Redis's own.
    var givenNowMs: Int?

    let keys: StockKeys
    let keyStarts: KeyStarts
    private(set) var subjects: [Subject] = []
    static let checkpointEvery = 10_000
    private static let keptEndedMs = 604_800_000

    init(keys: StockKeys) {
        self.keys = keys
        keyStarts = KeyStarts(prefix: keys.prefix)
    }

    /// Forgets everything that was judged.
    func begin() {
        commands.removeAll()
        ahead.removeAll()
        announcedMs = .max
        subjects.removeAll(keepingCapacity: true)
    }

    /// Adds a SKU as it was read; steps name it by its place.
    func add(_ sku: SKU, _ state: StockState) {
        subjects.append(Subject(sku: sku, state: state, firstNextExpiryMs: state.nextExpiryMs))
    }

    var hasChanges: Bool { commands.count > 0 }

    // MARK: Judging

    /// - Parameters:
    ///   - subject: the place of the step's SKU.
    ///   - hold: the one that the step names, if it is there.
    func judge(_ step: StockStep, subject: Int, hold: Hold?) -> Verdict {
        let state = subjects[subject].state
        if state.productID.isEmpty { return .answer(.unknown) }
        guard state.waiting == 0, state.nextExpiryMs ?? .max > nowMs,
            (state.version + 1) % GroupCommit.checkpointEvery != 0
        else { return .leave }
        switch step {
        case .reserve(let step): return reserve(step, subject, hold)
        case .confirm(let step): return confirm(step, subject, hold)
        case .cancel(let step): return cancel(step, subject, hold)
        case .scripted, .sweep: return .leave
        }
    }

    private func reserve(_ step: ReserveStep, _ subject: Int, _ earlier: Hold?) -> Verdict {
        if earlier?.status == .void { return .leave }
        if let earlier { return .answer(.existing(earlier, productID: subjects[subject].state.productID)) }
        guard step.wants.count == 1, !step.wants[0].split, step.replaces.isEmpty else { return .leave }
        let expiresMs: Int
        switch step.end {
        case .at(let ms): expiresMs = ms
        case .after(let ms): expiresMs = nowMs + ms
        }
        if expiresMs <= nowMs { return .answer(.past) }
        if expiresMs - nowMs > ReservationDraft.longestHoldMs { return .answer(.far) }
        let want = step.wants[0]
        var most = 0
        for warehouse in want.from {
            guard let at = subjects[subject].state.find(warehouse) else { continue }
            let counters = subjects[subject].state.counters[at]
            let kept = step.kept[warehouse].map { (counters.quantity * $0 + 999) / 1000 } ?? 0
            let free = counters.available - kept
            if free >= want.quantity {
                guard counters.isCalm(counters.available - want.quantity) else { return .leave }
                return .onceDone(take(step, warehouse, want.quantity, expiresMs, subject, at))
            }
            most = max(most, free)
        }
        return step.waitsForStock ? .leave : .answer(.short(available: most))
    }

    private func take(
        _ step: ReserveStep, _ warehouse: String, _ quantity: Int, _ expiresMs: Int, _ subject: Int, _ at: Int
    ) -> StockAnswer {
        begin(subject, at)
        subjects[subject].state.counters[at].reserved += quantity
        subjects[subject].added.append((step.suffix, expiresMs))
        if expiresMs < subjects[subject].state.nextExpiryMs ?? .max {
            subjects[subject].state.nextExpiryMs = expiresMs
        }
        if let order = step.orderID { OrderIndex.announce(order, step.suffix, subjects[subject].sku, keys, in: ahead) }
        var hold = Hold(
            suffix: step.suffix, parts: [Hold.Part(warehouse: warehouse, quantity: quantity)], orderID: step.orderID,
            createdMs: nowMs, expiresMs: expiresMs, priority: step.priority)
        hold.request = step.request
        write(hold, subjects[subject].sku)
        tellLedger("reserve", subject, at, change: (0, quantity), step.suffix, step.orderID, "", step.actor, step.key)
        return .held(hold, productID: subjects[subject].state.productID)
    }

    private func confirm(_ step: HoldStep, _ subject: Int, _ hold: Hold?) -> Verdict {
        let productID = subjects[subject].state.productID
        guard let hold, hold.status != .void else { return .answer(.missing) }
        if let set = hold.set { return .answer(.line(of: set)) }
        if hold.status == .confirmed { return .answer(.same(hold, productID: productID)) }
        guard hold.status == .active else { return .answer(.state(hold, productID: productID)) }
        guard step.quantity == nil, hold.parts.count == 1, hold.expiresMs > nowMs,
            let at = subjects[subject].state.find(hold.parts[0].warehouse)
        else { return .leave }
        let quantity = hold.parts[0].quantity
        let there = subjects[subject].state.counters[at].quantity
        guard there >= quantity else { return .answer(.lacking(max(0, there))) }
        begin(subject, at)
        subjects[subject].state.counters[at].quantity -= quantity
        subjects[subject].state.counters[at].reserved -= quantity
        tellLedger(
            "confirm", subject, at, change: (-quantity, -quantity), step.suffix, hold.orderID, step.reason, step.actor,
            step.key)
        return .onceDone(.done(close(hold, .confirmed, subject), productID: productID))
    }

    private func cancel(_ step: HoldStep, _ subject: Int, _ hold: Hold?) -> Verdict {
        let productID = subjects[subject].state.productID
        guard let hold, hold.status != .void else { return .answer(.missing) }
        if let set = hold.set { return .answer(.line(of: set)) }
        if hold.status == .cancelled { return .answer(.same(hold, productID: productID)) }
        guard hold.status == .active || hold.status == .waiting else {
            return .answer(.state(hold, productID: productID))
        }
        guard hold.status == .active, hold.parts.count == 1, hold.expiresMs > nowMs,
            let at = subjects[subject].state.find(hold.parts[0].warehouse)
        else { return .leave }
        let quantity = hold.parts[0].quantity
        let counters = subjects[subject].state.counters[at]
        guard counters.isCalm(counters.available + quantity) else { return .leave }
        begin(subject, at)
        subjects[subject].state.counters[at].reserved -= quantity
        tellLedger(
            "cancel", subject, at, change: (0, -quantity), step.suffix, hold.orderID, step.reason, step.actor, step.key)
        return .onceDone(.done(close(hold, .cancelled, subject), productID: productID))
    }

    private func close(_ hold: Hold, _ status: Hold.Status, _ subject: Int) -> Hold {
        var hold = hold
        hold.status = status
        hold.endedMs = nowMs
        subjects[subject].ended.append(hold.suffix)
        let writer = commands.writer
        writer.command(6)
        writer.argument("HSET" as StaticString)
        commands.key(keyStarts.reservation, subjects[subject].sku, hold.suffix)
        writer.argument("status" as StaticString)
        writer.argument(status.rawValue)
        writer.argument("ended" as StaticString)
        writer.argument(decimal: nowMs)
        commands.end()
        writer.command(3)
        writer.argument("PEXPIRE" as StaticString)
        commands.key(keyStarts.reservation, subjects[subject].sku, hold.suffix)
        writer.argument(decimal: GroupCommit.keptEndedMs)
        commands.end()
        return hold
    }

    private func begin(_ subject: Int, _ at: Int) {
        if commands.count == 0 { commands.add("MULTI") }
        subjects[subject].isChanged = true
        subjects[subject].state.version += 1
        subjects[subject].state.counters[at].isTouched = true
    }
}
