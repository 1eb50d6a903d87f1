/** Works under way side by side, none of which outlives its caller. Floor 3. */

/**
 * The results of all works, once each has come to its end. Unlike Promise.all it does not leave
 * the rest running when one fails: a write of a publication that failed must not meet the next one.
 * @throws the first error, in the order of the works.
 */
export async function finishAll<Result>(works: readonly Promise<Result>[]): Promise<Result[]> {
  const outcomes = await Promise.allSettled(works);
  return outcomes.map((outcome) => {
    if (outcome.status === 'rejected') throw outcome.reason;
    return outcome.value;
  });
}
