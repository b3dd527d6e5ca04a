import Bytes
import Redis

/// A transaction: WATCH and read, judge, MULTI … EXEC.
extension StockLane {
    func readSubjects() {
        var taken = takeSteps()
        // Those with priority are served first; a stable order otherwise.
        if taken.contains(where: { $0.priority > 0 }) {
            taken = taken.enumerated().sorted { ($1.element.priority, $0.offset) < ($0.element.priority, $1.offset) }
                .map(\.element)
        }
        batch = Batch()
        var later: [StockTicket] = []
        var named: Set<String> = []
        for ticket in taken {
            let suffix = ticket.step.suffix ?? ""
            // The second step on one hold is to see what the first one did.
            guard named.insert(suffix).inserted else {
                later.append(ticket)
                continue
            }
            let subject = place(of: ticket.sku)
            var hold: Int?
            if ticket.mayMeetItsHold {
                hold = batch.suffixes.count
                batch.suffixes.append((ticket.sku, suffix))
            }
            batch.entries.append(Batch.Entry(ticket: ticket, subject: subject, hold: hold))
        }
        waiting.insert(contentsOf: later, at: 0)
        if let known = readAhead, loop.nowUs - known.atUs < StockLane.readAheadUs,
            batch.skus.allSatisfy({ known.states[$0] != nil })
        {
            batch.isReadAhead = true
            batch.states = batch.skus.map { known.states[$0]! }
            batch.nowMs = known.nowMs + Int((loop.nowUs - known.atUs) / 1000)
        }
        readAhead = nil
        if batch.isReadAhead, batch.suffixes.isEmpty { judge() } else { sendReads() }
    }

    /// On a cluster a transaction is of one slot.
    private func takeSteps() -> [StockTicket] {
        if node != nil { return takeStepsOfOneSlot() }
        let taken = Array(waiting.prefix(StockLane.mostSteps))
        waiting.removeFirst(taken.count)
        return taken
    }

    private func place(of sku: SKU) -> Int {
        // Most batches are about one SKU.
        if batch.skus.last == sku { return batch.skus.count - 1 }
        if let known = batch.places[sku] { return known }
        batch.places[sku] = batch.skus.count
        batch.skus.append(sku)
        return batch.skus.count - 1
    }

    private func sendReads() {
        reads.removeAll()
        let skipped = batch.isReadAhead ? 2 + batch.skus.count : 0
        if !batch.isReadAhead {
            if mustUnwatch { reads.add("UNWATCH") }
            addReads(of: batch.skus)
        }
        let first = batch.isReadAhead || !mustUnwatch ? 0 : 1
        for (sku, suffix) in batch.suffixes {
            reads.writer.command(2)
            reads.writer.argument("HGETALL" as StaticString)
            reads.writer.argument(keys.reservation(sku, suffix))
            reads.end()
        }
        let last = reads.count - 1
        mustUnwatch = true
        LaneCalls(reads) { [unowned self] place, result in
            heard(place - first + skipped, result)
            if place == last { judge() }
        }.send(on: connection, budgetUs: StockLane.replyBudgetUs)
    }

    /// WATCH, TIME and what the SKUs have.
    private func addReads(of skus: [SKU]) {
        reads.writer.command(1 + skus.count)
        reads.writer.argument("WATCH" as StaticString)
        for sku in skus { reads.writer.argument(keys.stock(sku)) }
        reads.end()
        reads.add("TIME")
        for sku in skus {
            reads.writer.command(2)
            reads.writer.argument("HGETALL" as StaticString)
            reads.writer.argument(keys.stock(sku))
            reads.end()
        }
    }

    /// - Parameter place: of a read; 0 is WATCH.
    private func heard(_ place: Int, _ result: Result<ReplyView, RedisError>) {
        let reply: ReplyView
        switch result {
        case .success(let value): reply = value
        case .failure(let error):
            batch.failure = batch.failure ?? error
            return
        }
        guard place > 0 else { return }
        if place == 1 {
            batch.nowMs = StockLane.ms(reply)
        } else if place < 2 + batch.skus.count {
            batch.states.append(StockState(reply))
        } else {
            let suffix = batch.suffixes[place - 2 - batch.skus.count].suffix
            batch.holds.append(Hold(suffix: suffix, reply))
        }
    }

    /// - Parameter reply: of TIME.
    private static func ms(_ reply: ReplyView) -> Int {
        guard reply.count == 2 else { return 0 }
        return (reply[0].bytes.decimal ?? 0) * 1000 + (reply[1].bytes.decimal ?? 0) / 1000
    }

    private func judge() {
        if let failure = batch.failure {
            let tickets = batch.entries.map(\.ticket)
            if failure.isElsewhere { sendElsewhere(tickets) } else { fail(tickets, failure, mayBeDone: false) }
            return turnEnded()
        }
        commit.begin()
        commit.givenNowMs = givenNowMs
        commit.nowMs = givenNowMs ?? batch.nowMs
        for (sku, state) in zip(batch.skus, batch.states) { commit.add(sku, state) }
        var pending: [(StockTicket, StockAnswer)] = []
        pending.reserveCapacity(batch.entries.count)
        var answers: [(StockTicket, StockAnswer)] = []
        // What changes nothing is not proved by a transaction: it is judged by what is read after it came.
        var unsure: [StockTicket] = []
        for entry in batch.entries {
            let hold = entry.hold.flatMap { batch.holds[$0] }
            switch commit.judge(entry.ticket.step, subject: entry.subject, hold: hold) {
            case .answer where batch.isReadAhead: unsure.append(entry.ticket)
            case .answer(let answer): answers.append((entry.ticket, answer))
            case .onceDone(let answer): pending.append((entry.ticket, answer))
            case .leave: leaveToScript(entry.ticket)
            }
        }
        waiting.insert(contentsOf: unsure, at: 0)
        if pending.isEmpty { turnEnded() } else { send(pending) }
        for (ticket, answer) in answers { ticket.answer(answer) }
    }

    /// Sends the transaction in one write, and before it what it is found by.
    private func send(_ pending: [(StockTicket, StockAnswer)]) {
        commit.finish()
        if commit.announcedMs < .max { directory.noteDue(commit.announcedMs) }
        if commit.ahead.count > 0 {
            // On a cluster that lies elsewhere.
            if node != nil { return announceFirst(pending.map(\.0)) { [self] in transact(pending) } }
            LaneCalls(commit.ahead) { _, _ in }.send(on: connection, budgetUs: StockLane.replyBudgetUs)
        }
        transact(pending)
    }

    private func transact(_ pending: [(StockTicket, StockAnswer)]) {
        counters.transactions.increment()
        counters.steps.increment(by: pending.count)
        let last = commit.commands.count - 1
        // A SKU that many want is most likely wanted again.
        let isReadingAhead = batch.skus.count <= StockLane.mostReadAhead && pending.count >= 4 * batch.skus.count
        var refusal: RedisError?
        LaneCalls(commit.commands) { [unowned self] place, result in
            if place == last {
                ended(pending, result, refusal)
                if !isReadingAhead { endTurn() }
            } else if case .failure(let error) = result {
                refusal = refusal ?? error
            }
        }.send(on: connection, budgetUs: StockLane.replyBudgetUs)
        if isReadingAhead { sendReadAhead(batch.skus) }
        connection.flush()
    }

    /// The turn ends with the last reply.
    private func sendReadAhead(_ skus: [SKU]) {
        reads.removeAll()
        addReads(of: skus)
        let last = reads.count - 1
        var found = ReadAhead()
        var hasFailed = false
        LaneCalls(reads) { [unowned self] place, result in
            switch result {
            case .failure: hasFailed = true
            case .success(let reply):
                if place == 1 { found.nowMs = StockLane.ms(reply) }
                if place > 1 { found.states[skus[place - 2]] = StockState(reply) }
            }
            guard place == last else { return }
            mustUnwatch = true
            if !hasFailed {
                found.atUs = loop.nowUs
                readAhead = found
            }
            endTurn()
        }.send(on: connection, budgetUs: StockLane.replyBudgetUs)
    }

    /// Redis gets the next transaction before anybody hears of this one, so that both sides are busy at once.
    private func endTurn() {
        let done = done
        self.done = []
        turnEnded()
        for (ticket, answer) in done { ticket.answer(answer) }
    }

    private func ended(
        _ pending: [(StockTicket, StockAnswer)], _ result: Result<ReplyView, RedisError>, _ refusal: RedisError?
    ) {
        mustUnwatch = false
        switch result {
        case .success(let reply) where !reply.isNull:
            let broken = StockLane.firstError(reply)
            done = broken.map { error in pending.map { ($0.0, .failed(error)) } } ?? pending
        case .success: conflicted(pending.map(\.0))
        case .failure(let error):
            // The whole was refused before any of it was done, or nobody knows.
            let isRefused = if case .server(let code, _) = error { code == "EXECABORT" } else { false }
            if error.isElsewhere || (isRefused && refusal?.isElsewhere == true) {
                sendElsewhere(pending.map(\.0))
            } else if isRefused, refusal?.mayHaveRun != true {
                for (ticket, _) in pending { leaveToScript(ticket) }
            } else {
                fail(pending.map(\.0), error, mayBeDone: true)
            }
        }
    }

    /// A command that failed within a transaction that went on: a key holds something that is not ours.
    private static func firstError(_ reply: ReplyView) -> RedisError? {
        for i in 0..<reply.count where reply[i].isError {
            if case .error(let error) = reply[i].copy { return error }
        }
        return nil
    }

    private func conflicted(_ tickets: [StockTicket]) {
        counters.conflicts.increment()
        for ticket in tickets {
            ticket.conflicts += 1
            if ticket.conflicts == StockLane.mostConflicts {
                contested[ticket.sku] = loop.nowUs + StockLane.contestedUs
            }
        }
        retry(tickets)
    }
}

extension StockTicket {
    fileprivate var priority: Int { if case .reserve(let step) = step { step.priority } else { 0 } }

    /// Whether the hold that it names may be there.
    fileprivate var mayMeetItsHold: Bool {
        switch step {
        case .reserve(let step): step.request != nil || isUncertain
        default: true
        }
    }
}

extension Hold {
    /// - Parameter reply: of HGETALL.
    init?(suffix: String, _ reply: ReplyView) {
        guard reply.count > 0 else { return nil }
        var fields: [String: String] = [:]
        for i in stride(from: 0, to: reply.count - 1, by: 2) {
            fields[reply[i].bytes.string] = reply[i + 1].bytes.string
        }
        self.init(suffix: suffix, fields)
    }
}
