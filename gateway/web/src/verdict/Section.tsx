/** One titled part of the verdict. */
import { type ReactNode, useId } from 'react'

export function Section({ title, hint, testId, children }: { title: string; hint?: string; testId: string; children: ReactNode }) {
  const id = useId()
  return (
    <section className="part" aria-labelledby={id} data-testid={testId}>
      <h2 id={id}>{title}</h2>
      {hint && <p className="quiet">{hint}</p>}
      {children}
    </section>
  )
}
