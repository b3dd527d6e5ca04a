import Bytes
import EventLoops

/// What a mixed run asks next, and what it makes of the answers.
extension MixedRun {
    private static let longestDelayUs = 200_000

    func ticket(intendedUs: Int64) -> Ticket {
        switch options.mix.kind(&random) {
        case .check, .settlement: return requests.check(&random, intendedUs: intendedUs)
        case .job:
            let number = record.jobs.count
            let queue = record.queues[random.index(below: record.queues.count)]
            record.jobs.append(RunRecord.Job(queue: queue, key: "\(record.head.run)-job-\(number)"))
            return requests.job(record.jobs[number], at: number, intendedUs: intendedUs)
        case .reservation:
            let number = record.holds.count
            var hold = RunRecord.Hold(
                sku: record.products[random.index(below: record.products.count)].sku,
                key: "\(record.head.run)-hold-\(number)", quantity: 1 + random.index(below: 3))
            hold.expires = random.index(below: 5) == 0
            let lifeMs = 300 + random.index(below: 1200)
            record.holds.append(hold)
            return requests.reservation(hold, at: number, lifeMs: lifeMs, intendedUs: intendedUs)
        }
    }

    func take(_ ticket: Ticket, status: Int, response: ByteView, nowUs: Int64) {
        switch status {
        case 502, 504: return failed(ticket, .gateway)
        case 503: return failed(ticket, .unavailable)
        case 500...599:
            note(ticket, status, response)
            return failed(ticket, .server)
        default: break
        }
        switch (ticket.subject, status) {
        case (.check(let name), 200):
            if !name.isEmpty {
                // By another reason nobody has judged it: the limit would be proved by nothing.
                guard response.contains(ByteView("\"reason\":\"allowed\"")) else {
                    note(ticket, status, response)
                    return failed(ticket, .unexpected)
                }
                let answer = RunRecord.Allowed(sentUs: ticket.sentWallUs, answeredUs: WallClock.nowUs())
                record.allowed[name, default: []].append(answer)
            }
            settled(ticket, refused: false, nowUs: nowUs)
        case (.check, 429): settled(ticket, refused: true, nowUs: nowUs)
        case (.job(let place), 201):
            record.jobs[place].id = MixedRun.id(in: response)
            record.jobs[place].fate = .accepted
            settled(ticket, refused: false, nowUs: nowUs)
        case (.reservation(let place), 201):
            record.holds[place].id = MixedRun.id(in: response)
            record.holds[place].fate = .active
            settled(ticket, refused: false, nowUs: nowUs)
            if !record.holds[place].expires { settleLater(place) }
        case (.reservation(let place), 409) where response.contains(ByteView("\"available\":")):
            record.holds[place].fate = .refused
            settled(ticket, refused: true, nowUs: nowUs)
        case (.settlement(let place), 200):
            record.holds[place].fate = record.holds[place].asked == "confirm" ? .confirmed : .cancelled
            settled(ticket, refused: false, nowUs: nowUs)
        case (_, 409) where response.contains(ByteView("\r\nRetry-After:")): failed(ticket, .busy)
        case (.settlement(let place), 409), (.settlement(let place), 404):
            record.holds[place].fate = .ended
            settled(ticket, refused: true, nowUs: nowUs)
            // Nothing else ends a hold here, unless Redis has forgotten it.
            if status == 409 { note(ticket, status, response) }
        case (_, 409): failed(ticket, .busy)
        default:
            note(ticket, status, response)
            failed(ticket, .unexpected)
        }
    }

    /// The end follows a little later, and so by another replica as a rule.
    private func settleLater(_ place: Int) {
        record.holds[place].asked = random.index(below: 8) < 5 ? "confirm" : "cancel"
        promised += 1
        after(Int64(1 + random.index(below: MixedRun.longestDelayUs))) { run in
            run.promised -= 1
            run.put(
                run.requests.settlement(run.record.holds[place], at: place, intendedUs: MonotonicClock.nowUs()))
        }
    }

    private func note(_ ticket: Ticket, _ status: Int, _ response: ByteView) {
        guard unexpected.count < 10 else { return }
        let text = response.string
        let body = text.firstRange(of: "\r\n\r\n").map { String(text[$0.upperBound...]) } ?? text
        unexpected.append("\(ticket.kind.rawValue): \(status) \(body.prefix(300))")
    }

    /// The value of the first `"id":"…"`.
    static func id(in response: ByteView) -> String {
        let text = response.string
        guard let start = text.firstRange(of: #""id":""#) else { return "" }
        return String(text[start.upperBound...].prefix { $0 != "\"" })
    }
}
