// The workload of `cargo work torture` on BullMQ: a producer, or a worker. The role is in the environment.
//
// As the documentation recommends: a persistent connection (maxRetriesPerRequest: null) and a listener for errors in the worker, an
// ID for each job, attempts with exponential backoff. The stalled-job settings are the defaults.

import fs from 'node:fs';
import { performance } from 'node:perf_hooks';
import { setTimeout as sleep } from 'node:timers/promises';
import { Queue, Worker } from 'bullmq';
import { Redis } from 'ioredis';

const QUEUE = 'torture';
const ATTEMPTS = 3;

const role = JSON.parse(process.env.WORK_TORTURE_ROLE);
const url = process.env.REDIS_URL;
const journal = fs.openSync(role.journal, 'a');

function now() {
  return Math.round((performance.timeOrigin + performance.now()) * 1000);
}

function write(what, job, attempt, at = now()) {
  fs.writeSync(journal, `${what} ${job} ${attempt} ${at}\n`);
}

function jobs() {
  const lines = fs.readFileSync(role.listing, 'utf8').trim().split('\n');
  return lines
    .map((line) => line.split(' ').map(Number))
    .map(([number, delay, poison, work]) => ({ number, delay, poison: poison === 1, work }))
    .filter((job) => job.number % role.of === role.index);
}

function delayOf(job) {
  return role.due_at_ms ? Math.max(0, role.due_at_ms - Date.now()) : job.delay;
}

async function produce() {
  const queue = new Queue(QUEUE, { connection: new Redis(url) });
  queue.on('error', () => {});
  const left = jobs();
  const options = { attempts: ATTEMPTS, backoff: { type: 'exponential', delay: 100 } };
  if (role.in_bulk) {
    for (let from = 0; from < left.length; from += 500) {
      const part = left.slice(from, from + 500);
      write('E', part[0].number, 0);
      await queue.addBulk(part.map((job) => ({ name: 'job', data: job, opts: { ...options, jobId: `job-${job.number}` } })));
    }
    write('E', 0, 0);
    process.exit(0);
  }
  const send = async () => {
    for (let job = left.shift(); job; job = left.shift()) {
      const begun = now();
      for (let sent = false; !sent; ) {
        try {
          await queue.add('job', job, { ...options, jobId: `job-${job.number}`, delay: delayOf(job) });
          sent = true;
        } catch {
          await sleep(20);
        }
      }
      write('E', job.number, 0, begun);
    }
  };
  await Promise.all(Array.from({ length: role.at_a_time }, send));
  process.exit(0);
}

function work() {
  const redis = new Redis(url, { maxRetriesPerRequest: null });
  redis.on('error', () => {});
  const run = async ({ data, attemptsStarted }) => {
    write('S', data.number, attemptsStarted);
    if (data.work > 0) await sleep(data.work);
    if (data.poison) throw new Error('poison');
    if (role.effects) {
      write('X', data.number, attemptsStarted);
      await redis.hincrby('torture:effects', `job-${data.number}`, 1);
    }
  };
  const connection = new Redis(url, { maxRetriesPerRequest: null });
  connection.on('error', () => {});
  const worker = new Worker(QUEUE, run, { connection, concurrency: role.at_a_time });
  worker.on('error', () => {});
  worker.on('completed', (job) => write('C', job.data.number, job.attemptsStarted));
  worker.on('failed', (job) => job && write('F', job.data.number, job.attemptsStarted));
}

process.stdin.resume();
process.stdin.on('end', () => process.exit(0));
if (role.part === 'producer') await produce();
else work();
